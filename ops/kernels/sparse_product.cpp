#include "ops/kernels/sparse_product.hpp"

#include <algorithm>
#include <xsimd/xsimd.hpp>

namespace lariat {

namespace sparse_product_detail {

constexpr int64_t width = xsimd::batch<float>::size;
// So many rows go by windows: as many as cost what a vector of rows costs.
constexpr int64_t rows_by_windows = std::max<int64_t>(1, 3 * width / 8);

// A dense product multiplies by a zero faster than a sparse one finds what is none: the largest share of
// weights for which leaving out the others pays, from so many rows and elements of the matrix on.
struct Pays {
  int64_t vector, rows, elements;
  double densest;
};
constexpr Pays table[] = {
#define LARIAT_SPARSE_PAYS(vector, rows, elements, densest) {vector, rows, elements, densest},
#include "ops/kernels/sparse_table.inc"
#undef LARIAT_SPARSE_PAYS
};

double densest_for(const SparseMatrix& b, int64_t m) {
  if (m <= rows_by_windows && !has_window(b.inner)) return 0;
  const Pays* last = nullptr;
  for (const Pays& one : table)
    if (one.vector == width && one.rows <= m && one.elements <= b.inner * b.columns) last = &one;
  return last ? last->densest : 0;
}

double densest_for_any_rows() {
  double most = 0;
  for (const Pays& one : table)
    if (one.vector == width) most = std::max(most, one.densest);
  return most;
}

}  // namespace sparse_product_detail

std::shared_ptr<const SparseMatrix> pack_sparse(bool transpose_b, int64_t n, int64_t k, const float* b,
                                                int64_t ldb) {
  return pack_sparse(transpose_b, n, k, b, ldb, sparse_product_detail::densest_for_any_rows());
}

std::shared_ptr<const SparseMatrix> pack_sparse(bool transpose_b, int64_t n, int64_t k, const float* b,
                                                int64_t ldb, double densest) {
  if (n < 2 || k == 0 || k > inner_stretch || n * k > INT32_MAX) return {};
  int64_t weights = 0;
  for (int64_t i = 0; i < (transpose_b ? n : k); ++i)
    for (int64_t j = 0; j < (transpose_b ? k : n); ++j) weights += b[i * ldb + j] != 0;
  if (static_cast<double>(weights) > densest * static_cast<double>(n * k)) return {};
  SparseLists columns(static_cast<size_t>(n));
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i < k; ++i)
      if (const float value = transpose_b ? b[j * ldb + i] : b[i * ldb + j]; value != 0)
        columns[static_cast<size_t>(j)].emplace_back(static_cast<int32_t>(i), value);
  const auto packed = std::make_shared<SparseMatrix>(SparseMatrix{k, n, weights, {}, tiles_of(columns, k)});
  if (has_window(k)) packed->windows = windows_of(columns, k);
  return packed;
}

bool sparse_pays(const SparseMatrix& b, int64_t m) {
  return static_cast<double>(b.weights) <=
         sparse_product_detail::densest_for(b, m) * static_cast<double>(b.inner * b.columns);
}

namespace sparse_product_detail {

// As much work as a dense product gives to one task.
int64_t sparse_grain(const SparseProduct& p, int64_t tasks) {
  return std::max<int64_t>(1, tasks * 500'000 / std::max<int64_t>(1, p.m * (p.b.weights + p.b.columns)));
}

void multiply_by_tiles(const ParallelFor& parallel, const SparseProduct& p, const Scratch& scratch) {
  // A tile's rows are turned once for all the columns that one thread takes.
  const int64_t high = tile_rows(p.m), down = (p.m + high - 1) / high, chunk = tile_chunk_columns();
  const int64_t chunks = (p.b.columns + chunk - 1) / chunk;
  const int64_t together = parallel.threads() == 1 ? chunks : std::min<int64_t>(chunks, 4);
  const int64_t across = (chunks + together - 1) / together;
  parallel.run(down * across, sparse_grain(p, down * across), [&](int64_t from, int64_t to) {
    for (int64_t tile = from; tile < to; ++tile) {
      const int64_t row = tile / across * high, begin = tile % across * together;
      multiply_tiles(p, row, std::min(high, p.m - row), begin, std::min(chunks, begin + together),
                     reinterpret_cast<float*>(scratch.own(parallel)));
    }
  });
}

}  // namespace sparse_product_detail

void multiply_sparse(const ParallelFor& parallel, int64_t m, const float* a, int64_t lda,
                     const SparseMatrix& b, Addend<float> addend, float* c, int64_t ldc,
                     const Scratch& scratch) {
  using namespace sparse_product_detail;
  const SparseProduct p{m, a, lda, b, addend, c, ldc, b.tiles.values.data()};
  if (!has_sparse_columns(b, m)) return multiply_by_tiles(parallel, p, scratch);
  const int64_t units = (b.columns + window_columns() - 1) / window_columns();
  parallel.run(units, sparse_grain(p, units),
               [&](int64_t from, int64_t to) { multiply_windows(p, from, to); });
}

void multiply_tiled(const ParallelFor& parallel, int64_t m, const float* a, int64_t lda,
                    const SparseMatrix& b, const float* values, Addend<float> addend, float* c, int64_t ldc,
                    const Scratch& scratch) {
  if (m == 0 || b.columns == 0) return;
  sparse_product_detail::multiply_by_tiles(parallel, {m, a, lda, b, addend, c, ldc, values}, scratch);
}

void multiply_sparse_tile(int64_t m, const float* a, int64_t lda, const SparseMatrix& b, Addend<float> addend,
                          float* c, int64_t ldc, std::byte* scratch) {
  if (has_sparse_columns(b, m)) return multiply_sparse_columns(m, a, lda, b, 0, b.columns, addend, c, ldc);
  const SparseProduct p{m, a, lda, b, addend, c, ldc, b.tiles.values.data()};
  const int64_t high = tile_rows(m), chunk = tile_chunk_columns();
  for (int64_t row = 0; row < m; row += high)
    multiply_tiles(p, row, std::min(high, m - row), 0, (b.columns + chunk - 1) / chunk,
                   reinterpret_cast<float*>(scratch));
}

void multiply_sparse_columns(int64_t m, const float* a, int64_t lda, const SparseMatrix& b, int64_t begin,
                             int64_t end, Addend<float> addend, float* c, int64_t ldc) {
  const int64_t width = window_columns();
  multiply_windows({m, a, lda, b, addend, c, ldc, nullptr}, begin / width, (end + width - 1) / width);
}

bool has_sparse_columns(const SparseMatrix& b, int64_t m) {
  return m <= sparse_product_detail::rows_by_windows && has_window(b.inner);
}

Workspace sparse_workspace(int64_t m) { return {0, tile_bytes(m)}; }

}  // namespace lariat
