#include "ops/kernels/product_kernel.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "ops/kernels/simd.hpp"
#include "ops/kernels/transpose_square.hpp"

namespace lariat {

namespace product_kernel_detail {

// Two vectors of 8 rows: 16 sums hide the latency of the multiply-add, and fit into 32 registers together
// with their operands. With 16 registers, 4 rows do.
constexpr int vectors = 2;
constexpr int64_t block_rows = xsimd::batch<float>::size >= 16 ? 8 : 4;
constexpr int64_t rows_per_pass = 256;
// With so many rows it pays to copy panels, some at a time, that would be read in place.
constexpr int64_t rows_per_copy = 64, panels_per_copy = 4;
constexpr int64_t page_bytes = 4096;

template <class T>
constexpr int64_t width = xsimd::batch<T>::size;
template <class T>
constexpr int64_t panel = vectors* width<T>;

// Elements in a row of a packed panel of so many columns: the last one needs no second vector where it is
// narrow.
template <class T>
int64_t panel_row(int64_t columns) {
  return columns > width<T> ? panel<T> : width<T>;
}

// One block of the result; of its columns, `count` exist. Panels of b are `apart` elements from each other. A
// line of each row of b at `next`, unless that is null, is asked for meanwhile. The compiler keeps the sums
// in registers only where every loop over them is unrolled.
template <class T, int rows, int across>
void block(int64_t inner, int64_t count, const T* a, int64_t a_row, int64_t a_column, const T* b,
           int64_t b_row, int64_t apart, const T* next, const T* start, int64_t start_row, T* result,
           int64_t result_row) {
  using Batch = xsimd::batch<T>;
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < across; ++v) {
      __builtin_prefetch(result + i * result_row + v * width<T>, 1);
      if (start) __builtin_prefetch(start + i * start_row + v * width<T>);
    }
  Batch sums[rows][across];
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < across; ++v) sums[i][v] = Batch(T(0));
  for (int64_t k = 0; k < inner; ++k) {
    Batch row[across];
#pragma GCC unroll 8
    for (int v = 0; v < across; ++v)
      row[v] = Batch::load_unaligned(b + v / vectors * apart + k * b_row + v % vectors * width<T>);
    if (next) __builtin_prefetch(next + k * b_row, 0, 2);
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
      const Batch element(a[i * a_row + k * a_column]);
#pragma GCC unroll 8
      for (int v = 0; v < across; ++v) sums[i][v] = multiply_add(element, row[v], sums[i][v]);
    }
  }
  if (count == across * width<T>) {
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < across; ++v) {
        if (start) sums[i][v] = sums[i][v] + Batch::load_unaligned(start + i * start_row + v * width<T>);
        sums[i][v].store_unaligned(result + i * result_row + v * width<T>);
      }
  } else {
    alignas(64) T padded[rows][across * width<T>];
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < across; ++v) sums[i][v].store_aligned(&padded[i][v * width<T>]);
    for (int i = 0; i < rows; ++i)
      for (int64_t j = 0; j < count; ++j)
        result[i * result_row + j] = padded[i][j] + (start ? start[i * start_row + j] : T(0));
  }
}

// Few rows leave registers for the sums of more columns, which hide the latency.
constexpr int wide = 8;

template <class T>
using Block = void (*)(int64_t, int64_t, const T*, int64_t, int64_t, const T*, int64_t, int64_t, const T*,
                       const T*, int64_t, T*, int64_t);

template <class T, int across, int... i>
constexpr std::array<Block<T>, sizeof...(i)> blocks_of(std::integer_sequence<int, i...>) {
  return {block<T, i + 1, across>...};
}
// blocks<T, across>[i] has i + 1 rows.
template <class T, int across>
constexpr auto blocks = blocks_of<T, across>(std::make_integer_sequence<int, block_rows>());

template <class T, int... i>
constexpr std::array<std::array<Block<T>, few_rows>, sizeof...(i)> wide_blocks_of(
    std::integer_sequence<int, i...>) {
  return {blocks_of<T, i + 1>(std::make_integer_sequence<int, few_rows>())...};
}
// wide_blocks<T>[i] takes few rows and i + 1 vectors of columns.
template <class T>
constexpr auto wide_blocks = wide_blocks_of<T>(std::make_integer_sequence<int, wide>());

// The part of a product that one block of columns and one stretch of the inner dimension make.
template <class T>
struct Pass {
  int64_t rows, depth, count;
  MatrixView<T> a;
  const T* b;
  int64_t b_row, apart;
  const T* next;  // what b will be in the next pass
  const T* start;
  int64_t start_row;
  T* result;
  int64_t result_row;

  template <class Blocks>
  void run(const Blocks& kernels) const {
    const auto height = static_cast<int64_t>(kernels.size());
    for (int64_t row = 0; row < rows; row += height) {
      // The last blocks ask for one vector each of the next rows of b.
      const int64_t later = (rows - row - 1) / height;
      const T* coming = next && later < vectors ? next + later * width<T> : nullptr;
      kernels[std::min(height, rows - row) - 1](depth, count, a.block_at(row), a.row, a.column, b, b_row,
                                                apart, coming, start ? start + row * start_row : nullptr,
                                                start_row, result + row * result_row, result_row);
    }
  }
};

// Columns outside, rows inside: a panel comes from a far cache once, and from a near one for the other rows.
// Panels that are `panels_apart` elements from each other are packed; 0: b is read where it lies.
template <class T, class Panel>
void multiply(int64_t rows, int64_t inner, int64_t begin, int64_t end, MatrixView<T> a, const Panel& panel_at,
              int64_t b_row, int64_t panels_apart, MatrixView<T> start, T* result, int64_t result_row) {
  for (int64_t k = 0; k == 0 || k < inner; k += inner_block)
    for (int64_t row = 0; row < rows; row += rows_per_pass)
      for (int64_t column = begin; column < end;) {
        T* to = result + row * result_row + column;
        const T* from = k > 0 ? to : start.data ? start.at(row, column).data : nullptr;
        const MatrixView<T> left{a.block_at(row) + k * a.column, a.row, a.column, a.block};
        Pass<T> pass{std::min(rows_per_pass, rows - row),
                     std::min(inner_block, inner - k),
                     end - column,
                     left,
                     panel_at(column, k, std::min(inner_block, inner - k)),
                     b_row,
                     panels_apart > 0 ? panels_apart : panel<T>,
                     nullptr,
                     from,
                     k > 0 ? result_row : start.row,
                     to,
                     result_row};
        const int64_t whole = panels_apart > 0 ? pass.count / panel<T> * vectors : pass.count / width<T>;
        const int64_t across = rows <= few_rows ? std::min<int64_t>(wide, whole) : 0;
        const bool takes_wide = across > vectors;
        pass.count = std::min(pass.count, takes_wide ? across * width<T> : panel<T>);
        if (panels_apart > 0) pass.b_row = panel_row<T>(pass.count);
        // Rows of b where it lies would push each other out of the cache, and a wide block reads more than
        // the next panel at a time.
        if (panels_apart > 0 && !takes_wide) pass.next = pass.b + panels_apart;
        if (takes_wide) {
          pass.run(wide_blocks<T>[across - 1]);
        } else if (pass.count > width<T>) {
          pass.run(blocks<T, vectors>);
        } else {
          pass.run(blocks<T, 1>);
        }
        column += pass.count;
      }
}

// Packs columns of b that lie in rows.
template <class T>
void pack_transposed(MatrixView<T> b, int64_t inner, int64_t count, T* to) {
  const int64_t row = panel_row<T>(count);
  for (int64_t k = 0; k < inner; k += width<T>)
    for (int64_t j = 0; j < count; j += width<T>) {
      const int64_t high = std::min(width<T>, count - j), deep = std::min(width<T>, inner - k);
      if (high == width<T> && deep == width<T>) {
        transpose_square(b.at(k, j).data, b.column, to + k * row + j, row);
        continue;
      }
      for (int64_t d = 0; d < deep; ++d)
        for (int64_t h = 0; h < high; ++h) to[(k + d) * row + j + h] = *b.at(k + d, j + h).data;
    }
}

// Copies `count` panels that lie side by side, each to a place of inner_block rows of its own.
template <class T>
void copy_panels(const T* from, int64_t from_row, int64_t depth, int64_t count, T* to) {
  using Batch = xsimd::batch<T>;
  constexpr int64_t ahead = 16;
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t j = 0; j < count * vectors; ++j) {
      const T* row = from + k * from_row + j * width<T>;
      __builtin_prefetch(row + ahead * from_row);
      Batch::load_unaligned(row).store_unaligned(to + (j / vectors * inner_block + k) * panel<T> +
                                                 j % vectors * width<T>);
    }
}

}  // namespace product_kernel_detail

template <class T>
int64_t panel_columns() {
  using namespace product_kernel_detail;
  return panel<T>;
}

template <class T>
int64_t vector_columns() {
  using namespace product_kernel_detail;
  return width<T>;
}

template <class T>
int64_t packed_count(int64_t inner, int64_t columns) {
  using namespace product_kernel_detail;
  const int64_t rest = columns % panel<T>;
  return inner * (columns - rest + (rest > 0 ? panel_row<T>(rest) : 0));
}

template <class T>
void pack_columns(MatrixView<T> b, int64_t row, int64_t rows, int64_t inner, int64_t begin, int64_t end,
                  T* packed) {
  using namespace product_kernel_detail;
  for (int64_t first = begin; first < end; first += panel<T>) {
    const int64_t count = std::min(panel<T>, end - first), wide = panel_row<T>(count);
    T* to = packed + first * inner + row * wide;
    if (b.column == 1) {
      // Whole vectors where what lies behind the columns belongs to the matrix too; it meets no column that
      // is kept.
      const int64_t after = count < wide ? (wide - count + b.row - 1) / b.row : 0;
      int64_t k = 0;
      for (; k + after < rows; ++k)
        for (int64_t j = 0; j < wide; j += width<T>)
          xsimd::batch<T>::load_unaligned(b.at(k, first).data + j).store_unaligned(to + k * wide + j);
      for (; k < rows; ++k)
        std::fill_n(std::copy_n(b.at(k, first).data, count, to + k * wide), wide - count, T(0));
    } else {
      if (count < wide) std::fill_n(to, rows * wide, T(0));
      pack_transposed(b.at(0, first), rows, count, to);
    }
  }
}

template <class T>
void pack_columns(MatrixView<T> b, int64_t inner, int64_t begin, int64_t end, T* packed) {
  pack_columns(b, 0, inner, inner, begin, end, packed);
}

template <class T>
int64_t block_height() {
  using namespace product_kernel_detail;
  return block_rows;
}

template <class T>
int64_t packed_rows_count(int64_t rows, int64_t inner) {
  using namespace product_kernel_detail;
  return (rows + block_rows - 1) / block_rows * block_rows * inner;
}

template <class T>
void pack_rows(MatrixView<T> a, int64_t inner, int64_t begin, int64_t end, T* packed) {
  using namespace product_kernel_detail;
  // Inner dimension outside: it is the one whose elements are far apart.
  constexpr int64_t together = 16;
  for (int64_t k = 0; k < inner; k += together)
    for (int64_t row = begin; row < end; row += block_rows) {
      const int64_t count = std::min(block_rows, end - row);
      for (int64_t deep = k; deep < std::min(k + together, inner); ++deep) {
        T* to = packed + row * inner + deep * block_rows;
        if (count == block_rows && a.row == 1) {
          std::copy_n(a.at(row, deep).data, block_rows, to);
        } else {
          for (int64_t i = 0; i < count; ++i) to[i] = *a.at(row + i, deep).data;
        }
      }
    }
}

template <class T>
MatrixView<T> packed_rows(const T* packed, int64_t inner, int64_t begin) {
  using namespace product_kernel_detail;
  return {packed + begin * inner, 1, block_rows, block_rows * inner};
}

template <class T>
void multiply_packed(int64_t rows, int64_t first, int64_t depth, int64_t inner, int64_t begin, int64_t end,
                     MatrixView<T> a, const T* packed, MatrixView<T> start, T* result, int64_t result_row) {
  using namespace product_kernel_detail;
  multiply(
      rows, depth, begin, end, a,
      [&](int64_t column, int64_t k, int64_t) {
        return packed + column * inner + (first + k) * panel_row<T>(end - column);
      },
      panel<T>, inner * panel<T>, start, result, result_row);
}

template <class T>
void multiply_packed(int64_t rows, int64_t inner, int64_t begin, int64_t end, MatrixView<T> a,
                     const T* packed, MatrixView<T> start, T* result, int64_t result_row) {
  multiply_packed(rows, 0, inner, inner, begin, end, a, packed, start, result, result_row);
}

template <class T>
int64_t in_place_count(int64_t rows, int64_t inner, int64_t b_row) {
  using namespace product_kernel_detail;
  // Rows that are apart by whole pages share few places of a cache: they push each other out.
  const bool conflicts = b_row * static_cast<int64_t>(sizeof(T)) % page_bytes == 0;
  const bool pays = rows >= rows_per_copy && inner >= inner_block / 2;
  return conflicts && pays ? inner_block * panel<T> * panels_per_copy : 0;
}

template <class T>
void multiply_in_place(int64_t rows, int64_t inner, int64_t begin, int64_t end, MatrixView<T> a, const T* b,
                       int64_t b_row, MatrixView<T> start, T* result, int64_t result_row, T* copies) {
  using namespace product_kernel_detail;
  if (in_place_count<T>(rows, inner, b_row) == 0) {
    multiply(
        rows, inner, begin, end, a,
        [&](int64_t column, int64_t k, int64_t) { return b + k * b_row + column; }, b_row, 0, start, result,
        result_row);
    return;
  }
  multiply(
      rows, inner, begin, end, a,
      [&](int64_t column, int64_t k, int64_t depth) {
        const int64_t place = (column - begin) / panel<T> % panels_per_copy;
        const int64_t count = std::min(panels_per_copy, (end - column) / panel<T>);
        if (place == 0) copy_panels(b + k * b_row + column, b_row, depth, count, copies);
        return copies + place * inner_block * panel<T>;
      },
      panel<T>, inner_block * panel<T>, start, result, result_row);
}

template <class T>
void multiply_rows(int64_t count, int64_t inner, const T* a, const T* b, int64_t b_row, const T* start,
                   T* result) {
  using namespace product_kernel_detail;
  using Batch = xsimd::batch<T>;
  constexpr int side_by_side = 4;
  // The elements that fill no vector are the last ones of one that overlaps with the one before.
  const int64_t last = inner - width<T>, fresh = inner % width<T>;
  const bool masks = last >= 0 && fresh > 0;
  const int64_t scalars = last < 0 ? inner : 0;
  alignas(64) T place[width<T>];
  for (int64_t j = 0; j < width<T>; ++j) place[j] = static_cast<T>(j);
  const auto rest = Batch::load_aligned(place) >= Batch(static_cast<T>(width<T> - fresh));
  for (int64_t i = 0; i < count; ++i) {
    const T* row = b + i * b_row;
    Batch sums[side_by_side] = {Batch(T(0)), Batch(T(0)), Batch(T(0)), Batch(T(0))};
    int64_t k = 0;
    for (; k + side_by_side * width<T> <= inner; k += side_by_side * width<T>)
#pragma GCC unroll 4
      for (int s = 0; s < side_by_side; ++s)
        sums[s] = multiply_add(Batch::load_unaligned(a + k + s * width<T>),
                               Batch::load_unaligned(row + k + s * width<T>), sums[s]);
    for (int s = 0; k + width<T> <= inner; k += width<T>, ++s)
      sums[s] = multiply_add(Batch::load_unaligned(a + k), Batch::load_unaligned(row + k), sums[s]);
    if (masks)
      sums[side_by_side - 1] =
          multiply_add(select(rest, Batch::load_unaligned(a + last), Batch(T(0))),
                       select(rest, Batch::load_unaligned(row + last), Batch(T(0))), sums[side_by_side - 1]);
    T total = sum_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (; k < scalars; ++k) total += a[k] * row[k];
    result[i] = start ? start[i] + total : total;
  }
}

#define LARIAT_PRODUCT_KERNEL(T)                                                                           \
  template int64_t panel_columns<T>();                                                                     \
  template int64_t vector_columns<T>();                                                                    \
  template int64_t packed_count<T>(int64_t, int64_t);                                                      \
  template int64_t block_height<T>();                                                                      \
  template int64_t packed_rows_count<T>(int64_t, int64_t);                                                 \
  template void pack_rows<T>(MatrixView<T>, int64_t, int64_t, int64_t, T*);                                \
  template MatrixView<T> packed_rows<T>(const T*, int64_t, int64_t);                                       \
  template void pack_columns<T>(MatrixView<T>, int64_t, int64_t, int64_t, T*);                             \
  template void pack_columns<T>(MatrixView<T>, int64_t, int64_t, int64_t, int64_t, int64_t, T*);           \
  template void multiply_packed<T>(int64_t, int64_t, int64_t, int64_t, MatrixView<T>, const T*,            \
                                   MatrixView<T>, T*, int64_t);                                            \
  template void multiply_packed<T>(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, MatrixView<T>,    \
                                   const T*, MatrixView<T>, T*, int64_t);                                  \
  template void multiply_in_place<T>(int64_t, int64_t, int64_t, int64_t, MatrixView<T>, const T*, int64_t, \
                                     MatrixView<T>, T*, int64_t, T*);                                      \
  template int64_t in_place_count<T>(int64_t, int64_t, int64_t);                                           \
  template void multiply_rows<T>(int64_t, int64_t, const T*, const T*, int64_t, const T*, T*);
LARIAT_PRODUCT_KERNEL(float)
LARIAT_PRODUCT_KERNEL(double)
#undef LARIAT_PRODUCT_KERNEL

}  // namespace lariat
