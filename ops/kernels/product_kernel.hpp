#pragma once

#include <cstdint>

namespace lariat {

/// A panel of so many rows stays in the second-level cache, with the rows of a that meet it.
constexpr int64_t inner_block = 512;

/// Over a longer inner dimension, the sums of floats over so many elements are added as doubles.
constexpr int64_t inner_stretch = 16 * inner_block;

// The inner loops of matrix products. Every element of a result is one chain of fused multiply-adds per
// `inner_block` elements of the inner dimension, and the chains are added in order: its bits depend neither
// on the number of rows and columns nor on how they are split among threads.

/// Columns that lie together once packed; a range of columns must begin at a multiple of it, and end at one
/// or with the last column.
template <class T>
int64_t panel_columns();

/// Elements that pack_columns() writes for a matrix of `inner` rows.
template <class T>
int64_t packed_count(int64_t inner, int64_t columns);

/// Rows that lie together once packed; a range of rows must begin at a multiple of it.
template <class T>
int64_t block_height();

/// A matrix of any strides: element (i, j) is data[i·row + j·column]. Where `block` is not 0, rows lie in
/// blocks of so many elements, and the strides are those within a block.
template <class T>
struct MatrixView {
  const T* data = nullptr;
  int64_t row = 0, column = 1, block = 0;
  MatrixView at(int64_t i, int64_t j) const { return {data + i * row + j * column, row, column}; }
  /// Where row i is, with which a block begins.
  const T* block_at(int64_t i) const { return data + (block > 0 ? i / block_height<T>() * block : i * row); }
};

/// Lays columns [begin, end) of b [inner, columns] out in the order in which the inner loop reads them.
template <class T>
void pack_columns(MatrixView<T> b, int64_t inner, int64_t begin, int64_t end, T* packed);
/// The same for a matrix whose rows [row, row + rows) are those of b; the other rows stay as they are.
template <class T>
void pack_columns(MatrixView<T> b, int64_t row, int64_t rows, int64_t inner, int64_t begin, int64_t end,
                  T* packed);

/// Elements that pack_rows() writes for a matrix of `inner` columns.
template <class T>
int64_t packed_rows_count(int64_t rows, int64_t inner);
/// Lays rows [begin, end) of a [rows, inner] out likewise: worth it where neighbours along the inner
/// dimension are far apart in memory.
template <class T>
void pack_rows(MatrixView<T> a, int64_t inner, int64_t begin, int64_t end, T* packed);
/// Rows from `begin` on of what pack_rows() made, as multiply_packed() takes them.
template <class T>
MatrixView<T> packed_rows(const T* packed, int64_t inner, int64_t begin);

/// result[:, begin:end] = start[:, begin:end] + a·b[:, begin:end] for a [rows, inner]; no data of `start`
/// means zeros, and it may be the result.
template <class T>
void multiply_packed(int64_t rows, int64_t inner, int64_t begin, int64_t end, MatrixView<T> a,
                     const T* packed, MatrixView<T> start, T* result, int64_t result_row);
/// The same with rows [first, first + depth) of a packed b of `inner` rows, for a [rows, depth].
template <class T>
void multiply_packed(int64_t rows, int64_t first, int64_t depth, int64_t inner, int64_t begin, int64_t end,
                     MatrixView<T> a, const T* packed, MatrixView<T> start, T* result, int64_t result_row);

/// The same for a b that nothing was made of: it is read where it lies for few rows, or copied some columns
/// at a time; good where `rows` is all that a product has. `copies` is memory for copied_count() elements.
template <class T>
void multiply_copying(int64_t rows, int64_t inner, int64_t begin, int64_t end, MatrixView<T> a,
                      MatrixView<T> b, MatrixView<T> start, T* result, int64_t result_row, T* copies);
template <class T>
int64_t copied_count(int64_t inner, int64_t columns);

/// result[i] = start[i] + Σₖ a[k]·b[i·b_row + k] for i < count, over contiguous rows; `start` may be null or
/// the result. Of the sums, vectors of partial ones run side by side: they are not in the order of the
/// others.
template <class T>
void multiply_rows(int64_t count, int64_t inner, const T* a, const T* b, int64_t b_row, const T* start,
                   T* result);

}  // namespace lariat
