#include "ops/kernels/product_kernel.hpp"

#include <algorithm>

#include "ops/kernels/product_blocks.hpp"
#include "ops/kernels/transpose_square.hpp"

namespace lariat {

namespace product_kernel_detail {

constexpr int64_t rows_per_pass = 264;
// Up to so many rows it costs less to read b where it lies than to copy it; where its rows are apart by whole
// pages, they share few places of a cache.
constexpr int64_t rows_in_place = block_rows > 6 ? 64 : 16, rows_in_pages = block_rows > 6 ? 48 : 12;
constexpr int64_t page_bytes = 4096, rows_sharing_places = 6;
// Rows of a narrow b follow each other closely.
constexpr int64_t narrow_bytes = 256;
// How many rows ahead of its use b is asked for where it lies: the processor does not foresee steps as long
// as its rows.
constexpr int64_t rows_ahead = 8;
// So many columns are copied at a time, of rows that may lie in pages of their own.
constexpr int64_t columns_per_copy = 64;

template <class T>
bool shares_places(int64_t row) {
  return row > 0 && row * static_cast<int64_t>(sizeof(T)) % page_bytes == 0;
}

// The part of a product that one block of columns and one stretch of the inner dimension make.
template <class T>
struct Pass {
  int64_t rows, depth, count;
  MatrixView<T> a;
  const T* b;
  int64_t b_row, apart;
  const T* next;  // what is asked for meanwhile: b of the next pass, by the last block, or the rows ahead
  bool is_ahead;
  const T* start;
  int64_t start_row;
  T* result;
  int64_t result_row;

  void run(Block<T> kernel, int64_t row, int64_t height) const {
    kernel(depth, count, a.block_at(row), a.row, a.column, b, b_row, apart,
           is_ahead || row + height == rows ? next : nullptr, start ? start + row * start_row : nullptr,
           start_row, result + row * result_row, result_row);
  }

  template <class Blocks>
  void run(const Blocks& kernels) const {
    // Rows that lie in blocks are taken so. Of rows that are apart by whole pages, a cache keeps few at a
    // time.
    const auto most = a.block > 0               ? block_rows
                      : shares_places<T>(a.row) ? rows_sharing_places
                                                : static_cast<int64_t>(kernels.size());
    for (int64_t row = 0, height; row < rows; row += height) {
      const int64_t left = rows - row;
      height = std::min(most, left);
      // The last three of about one height, rather than high ones and one that cannot hide the latency.
      const int64_t blocks_left = (left + most - 1) / most;
      if (a.block == 0 && blocks_left <= 3) height = (left + blocks_left - 1) / blocks_left;
      run(kernels[height - 1], row, height);
    }
  }
};

// Columns outside, rows inside: a panel comes from a far cache once, and from a near one for the other rows.
// Panels that are `panels_apart` elements from each other are packed, `panels_there` at a time; 0: b is read
// where it lies.
template <class T, class Panel>
void multiply(int64_t rows, int64_t inner, int64_t begin, int64_t end, MatrixView<T> a, const Panel& panel_at,
              int64_t b_row, int64_t panels_apart, int64_t panels_there, int64_t rows_at_once,
              MatrixView<T> start, T* result, int64_t result_row) {
  const bool is_packed = panels_apart > 0;
  for (int64_t k = 0; k == 0 || k < inner; k += inner_block)
    for (int64_t row = 0; row < rows; row += rows_at_once)
      for (int64_t column = begin; column < end;) {
        T* to = result + row * result_row + column;
        const T* from = k > 0 ? to : start.data ? start.at(row, column).data : nullptr;
        const MatrixView<T> left{a.block_at(row) + k * a.column, a.row, a.column, a.block};
        Pass<T> pass{std::min(rows_at_once, rows - row),
                     std::min(inner_block, inner - k),
                     end - column,
                     left,
                     panel_at(column, k, std::min(inner_block, inner - k)),
                     b_row,
                     is_packed ? panels_apart : panel<T>,
                     nullptr,
                     !is_packed,
                     from,
                     k > 0 ? result_row : start.row,
                     to,
                     result_row};
        const int64_t there = panels_there - (column - begin) / panel<T> % panels_there;
        const int64_t whole =
            is_packed ? std::min(pass.count / panel<T>, there) * vectors : pass.count / width<T>;
        if (!is_packed && b_row * static_cast<int64_t>(sizeof(T)) >= page_bytes)
          pass.next = pass.b + rows_ahead * b_row;
        if (rows <= few_rows && whole > vectors) {
          auto [kernel, across] = wide_block<T>(rows, whole);
          pass.count = across * width<T>;
          if (is_packed) pass.b_row = panel<T>;
          pass.run(kernel, 0, rows);
        } else {
          pass.count = std::min(pass.count, panel<T>);
          if (is_packed) {
            pass.b_row = panel_row<T>(pass.count);
            if (there > 1) pass.next = pass.b + panels_apart;
          }
          if (pass.count > width<T>) {
            pass.run(blocks<T, vectors>);
          } else {
            pass.run(blocks<T, 1>);
          }
        }
        column += pass.count;
      }
}

// Copies `count` panels that lie side by side: rows may lie in pages of their own, and are read once.
template <class T>
void copy_panels(MatrixView<T> b, int64_t rows, int64_t count, T* to, int64_t apart) {
  using Batch = xsimd::batch<T>;
  constexpr int64_t line = cache_line / static_cast<int64_t>(sizeof(T));
  for (int64_t k = 0; k < rows; ++k) {
    const T* from = b.data + k * b.row;
    const T* ahead = from + 2 * rows_ahead * b.row;
    for (int64_t j = 0; j < count * panel<T>; j += line) __builtin_prefetch(ahead + j);
    for (int64_t j = 0; j < count; ++j)
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v)
        Batch::load_unaligned(from + j * panel<T> + v * width<T>)
            .store_unaligned(to + j * apart + k * panel<T> + v * width<T>);
  }
}

template <class T>
bool in_place_pays(int64_t rows, const MatrixView<T>& b) {
  const int64_t bytes = b.row * static_cast<int64_t>(sizeof(T));
  return b.column == 1 && (bytes <= narrow_bytes || rows <= rows_in_pages ||
                           (rows <= rows_in_place && !shares_places<T>(b.row)));
}

// Packs columns of b that lie in rows. All of a cache line is used at once: lines of many rows may push each
// other out.
template <class T>
void pack_transposed(MatrixView<T> b, int64_t inner, int64_t count, T* to) {
  constexpr int64_t line = std::max<int64_t>(width<T>, cache_line / sizeof(T));
  const int64_t row = panel_row<T>(count);
  for (int64_t first = 0; first < inner; first += line)
    for (int64_t j = 0; j < count; j += width<T>)
      for (int64_t k = first; k < std::min(first + line, inner); k += width<T>) {
        const int64_t high = std::min(width<T>, count - j), deep = std::min(width<T>, inner - k);
        if (high == width<T> && deep == width<T>) {
          transpose_square(b.at(k, j).data, b.column, to + k * row + j, row);
          continue;
        }
        for (int64_t d = 0; d < deep; ++d)
          for (int64_t h = 0; h < high; ++h) to[(k + d) * row + j + h] = *b.at(k + d, j + h).data;
      }
}

}  // namespace product_kernel_detail

template <class T>
int64_t panel_columns() {
  using namespace product_kernel_detail;
  return panel<T>;
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
  int64_t first = begin;
  if (b.column == 1)
    for (; first + panel<T> <= end; first += columns_per_copy)
      copy_panels(b.at(0, first), rows, std::min(columns_per_copy, end - first) / panel<T>,
                  packed + first * inner + row * panel<T>, inner * panel<T>);
  first = b.column == 1 ? begin + (end - begin) / panel<T> * panel<T> : begin;
  for (; first < end; first += panel<T>) {
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
        const T* from = a.at(row, deep).data;
        // Whole vectors where what they write too much is written over.
        if (count == block_rows && a.row == 1 && deep + 1 < inner && a.column >= block_rows) {
          constexpr int64_t whole = (block_rows + width<T> - 1) / width<T> * width<T>;
#pragma GCC unroll 4
          for (int64_t i = 0; i < whole; i += width<T>)
            xsimd::batch<T>::load_unaligned(from + i).store_unaligned(to + i);
        } else {
          for (int64_t i = 0; i < count; ++i) to[i] = from[i * a.row];
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
      panel<T>, inner * panel<T>, INT64_MAX, depth <= short_inner ? block_rows : rows_per_pass, start, result,
      result_row);
}

template <class T>
void multiply_packed(int64_t rows, int64_t inner, int64_t begin, int64_t end, MatrixView<T> a,
                     const T* packed, MatrixView<T> start, T* result, int64_t result_row) {
  multiply_packed(rows, 0, inner, inner, begin, end, a, packed, start, result, result_row);
}

template <class T>
int64_t copied_count(int64_t inner, int64_t columns) {
  using namespace product_kernel_detail;
  const int64_t together = std::min(columns_per_copy, (columns + panel<T> - 1) / panel<T> * panel<T>);
  return std::min(inner, inner_block) * together;
}

template <class T>
void multiply_copying(int64_t rows, int64_t inner, int64_t begin, int64_t end, MatrixView<T> a,
                      MatrixView<T> b, MatrixView<T> start, T* result, int64_t result_row, T* copies) {
  using namespace product_kernel_detail;
  int64_t copied = begin;
  if (in_place_pays(rows, b)) {
    copied = begin + (end - begin) / width<T> * width<T>;
    multiply(
        rows, inner, begin, copied, a,
        [&](int64_t column, int64_t k, int64_t) { return b.at(k, column).data; }, b.row, 0, 1, rows_per_pass,
        start, result, result_row);
  }
  // Rows that become columns lie as they are read: fewer of them leave their copy in the nearest cache.
  const int64_t together = b.column == 1 ? columns_per_copy : rows <= few_rows ? 2 * panel<T> : panel<T>;
  const int64_t apart = std::min(inner, inner_block) * panel<T>;
  multiply(
      rows, inner, copied, end, a,
      [&](int64_t column, int64_t k, int64_t depth) {
        const int64_t place = (column - copied) % together;
        if (place == 0)
          pack_columns(b.at(k, column), 0, depth, std::min(inner, inner_block), 0,
                       std::min(together, end - column), copies);
        return static_cast<const T*>(copies + place / panel<T> * apart);
      },
      panel<T>, apart, together / panel<T>, rows, start, result, result_row);
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

#define LARIAT_PRODUCT_KERNEL(T)                                                                        \
  template int64_t panel_columns<T>();                                                                  \
  template int64_t packed_count<T>(int64_t, int64_t);                                                   \
  template int64_t block_height<T>();                                                                   \
  template int64_t packed_rows_count<T>(int64_t, int64_t);                                              \
  template void pack_rows<T>(MatrixView<T>, int64_t, int64_t, int64_t, T*);                             \
  template MatrixView<T> packed_rows<T>(const T*, int64_t, int64_t);                                    \
  template void pack_columns<T>(MatrixView<T>, int64_t, int64_t, int64_t, T*);                          \
  template void pack_columns<T>(MatrixView<T>, int64_t, int64_t, int64_t, int64_t, int64_t, T*);        \
  template void multiply_packed<T>(int64_t, int64_t, int64_t, int64_t, MatrixView<T>, const T*,         \
                                   MatrixView<T>, T*, int64_t);                                         \
  template void multiply_packed<T>(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, MatrixView<T>, \
                                   const T*, MatrixView<T>, T*, int64_t);                               \
  template void multiply_copying<T>(int64_t, int64_t, int64_t, int64_t, MatrixView<T>, MatrixView<T>,   \
                                    MatrixView<T>, T*, int64_t, T*);                                    \
  template int64_t copied_count<T>(int64_t, int64_t);                                                   \
  template void multiply_rows<T>(int64_t, int64_t, const T*, const T*, int64_t, const T*, T*);
LARIAT_PRODUCT_KERNEL(float)
LARIAT_PRODUCT_KERNEL(double)
#undef LARIAT_PRODUCT_KERNEL

}  // namespace lariat
