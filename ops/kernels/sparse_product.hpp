#pragma once

#include <memory>
#include <vector>

#include "ops/kernels/gemm.hpp"
#include "ops/kernels/product_kernel.hpp"

namespace lariat {

/// A constant matrix b [inner, columns] without its zeros, laid out in the forms that may pay. Every element
/// of a product with it is the chain of multiply-adds that gemm() computes, one for each inner_block of the
/// inner dimension, without the terms of zeros: for finite a, the same bits.

/// For few rows. A vector of columns is summed side by side: a step takes the next value of each column whose
/// row lies within a window that two vectors of a row of a hold, and 0 for the other columns.
struct SparseWindows {
  /// Of memory, which holds one step's values or those of some steps.
  struct alignas(64) Line {
    float values[16];
  };
  /// The first step of each inner block and, within it, of each vector of columns; one more at the end.
  std::vector<int32_t> starts;
  /// Of each step: the first row of the window; a row within it, and the value, for each column.
  std::vector<uint16_t> windows;
  std::vector<uint8_t> places;
  std::vector<Line> values;
};

/// For many rows, which lie side by side in vectors. The weights of a few rows of b and of some columns come
/// together, so that the rows of a that they meet stay in the nearest cache; columns of as many weights go
/// side by side.
struct SparseTiles {
  /// So many columns are summed side by side over `count` steps; which, within their chunk.
  static constexpr int group = 4;
  struct Group {
    uint16_t count;
    uint8_t columns[group];
  };
  /// How many rows of b come together; it divides inner_block.
  int64_t depth = 0;
  /// Of each chunk of columns and, within it, each such stretch of rows: the first group and the first step.
  struct Start {
    int32_t group, step;
  };
  std::vector<Start> starts;
  std::vector<Group> groups;
  /// Of each step, for each column of its group: the row within the stretch, in bytes of a vector, and the
  /// value.
  std::vector<uint16_t> places;
  std::vector<float> values;
  /// Of each vector of rows of b, whether a step names one of them.
  std::vector<uint8_t> read;
};

/// For weights that come in runs of neighbours: what a row holds in so many columns, from a multiple of them
/// on, is taken whole, an element of a times a vector of b. Columns with about as many runs go side by side.
constexpr int64_t run_columns = 8;
struct SparseRuns {
  struct alignas(32) Run {
    float values[run_columns];
  };
  /// So many runs of columns are summed side by side.
  static constexpr int group = 4;
  /// How many runs hold a weight.
  int64_t count = 0;
  /// The first column of each member of the groups; -1: none.
  std::vector<int32_t> columns;
  /// Of each group and, within it, each inner block: the first step; one more at the end.
  std::vector<int32_t> starts;
  /// Of each step: the rows of the group's members, 16 bits for each from the lowest on, and their runs.
  std::vector<uint64_t> places;
  std::vector<Run> values;

  int64_t groups() const { return static_cast<int64_t>(columns.size()) / group; }
};

/// The form in which a product of so many rows is fastest: with all elements; with weights one by one, by
/// windows or by tiles; by runs.
enum class SparseForm { all, weights, runs };

struct SparseMatrix {
  int64_t inner = 0, columns = 0, weights = 0;
  SparseWindows windows;
  SparseTiles tiles;
  SparseRuns runs;
  /// The fastest form from so many rows on, up to the rows of the next.
  struct FormFrom {
    int64_t rows;
    SparseForm form;
  };
  std::vector<FormFrom> forms = {};

  int64_t blocks() const { return (inner + inner_block - 1) / inner_block; }
};

/// op(b) [k, n] in that form. Null where so little of it is zero that the dense product is the faster one.
std::shared_ptr<const SparseMatrix> pack_sparse(bool transpose_b, int64_t n, int64_t k, const float* b,
                                                int64_t ldb);
/// The same in all forms, however much is not zero.
std::shared_ptr<const SparseMatrix> pack_every_form(bool transpose_b, int64_t n, int64_t k, const float* b,
                                                    int64_t ldb);

/// The fastest form for so many rows.
SparseForm form_for(const SparseMatrix& b, int64_t m);
/// How many numbers are multiplied in the form of single weights, for each run in that of runs.
double numbers_of_run(const SparseMatrix& b, int64_t m);
/// Whether a product of so many rows is faster with it than with all elements.
bool sparse_pays(const SparseMatrix& b, int64_t m);
/// Whether that holds for any number of rows.
bool sparse_always_pays(const SparseMatrix& b);

/// c [m, n] = a [m, k]·b + addend, a's rows lda elements apart; the addend may be c. Its bits depend neither
/// on how the work is cut nor on the number of threads.
void multiply_sparse(const ParallelFor& parallel, int64_t m, const float* a, int64_t lda,
                     const SparseMatrix& b, Addend<float> addend, float* c, int64_t ldc,
                     const Scratch& scratch);
/// The same in a form that is not SparseForm::all.
void multiply_in_form(SparseForm form, const ParallelFor& parallel, int64_t m, const float* a, int64_t lda,
                      const SparseMatrix& b, Addend<float> addend, float* c, int64_t ldc,
                      const Scratch& scratch);
/// The same by its tiles, with other values at the same places: `values` stand in place of b.tiles.values.
void multiply_tiled(const ParallelFor& parallel, int64_t m, const float* a, int64_t lda,
                    const SparseMatrix& b, const float* values, Addend<float> addend, float* c, int64_t ldc,
                    const Scratch& scratch);
Workspace sparse_workspace(int64_t m);

/// The same product as one piece of work on the calling thread, with as much scratch as a thread has.
void multiply_sparse_tile(int64_t m, const float* a, int64_t lda, const SparseMatrix& b, Addend<float> addend,
                          float* c, int64_t ldc, std::byte* scratch);
/// Columns [begin, end) of it, which begin and, but for the last, end at whole vectors; for few rows.
void multiply_sparse_columns(int64_t m, const float* a, int64_t lda, const SparseMatrix& b, int64_t begin,
                             int64_t end, Addend<float> addend, float* c, int64_t ldc);
/// Whether so many rows are few enough for that, and it is faster than with all elements.
bool has_sparse_columns(const SparseMatrix& b, int64_t m);

/// What the forms share.
struct SparseProduct : ProductByBlocks {
  const SparseMatrix& b;
  /// Of the tiles.
  const float* values;
};

/// Of each column, the rows that are not zero, with their values.
using SparseLists = std::vector<std::vector<std::pair<int32_t, float>>>;

SparseWindows windows_of(const SparseLists& columns, int64_t inner);
/// Computes the vectors of columns [begin, end) of every row.
void multiply_windows(const SparseProduct& p, int64_t begin, int64_t end);
/// Columns of a vector.
int64_t window_columns();
/// Whether `inner` rows hold a window.
bool has_window(int64_t inner);

SparseRuns runs_of(const SparseLists& columns, int64_t inner);
/// Computes the groups [begin, end) of rows [row, row + rows).
void multiply_runs(const SparseProduct& p, int64_t row, int64_t rows, int64_t begin, int64_t end);
/// Rows that are computed side by side.
int64_t run_rows();

SparseTiles tiles_of(const SparseLists& columns, int64_t inner);
/// Computes the chunks of columns [begin, end) of rows [row, row + rows), of which there are at most
/// tile_rows() of b's tiles.
void multiply_tiles(const SparseProduct& p, int64_t row, int64_t rows, int64_t begin, int64_t end,
                    float* scratch);
int64_t tile_rows(const SparseTiles& b, int64_t m);
int64_t tile_chunk_columns();
/// Bytes of scratch for one tile.
size_t tile_bytes(int64_t m);

}  // namespace lariat
