#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "ops/kernels/simd.hpp"

namespace lariat {

namespace product_kernel_detail {

// Sums in two vectors of each row hide the latency of the multiply-add, and stay in registers together with
// a row of b and an element of a: 16 of 32 registers, 12 of 16. More rows gain nothing with AVX-512.
constexpr int vectors = 2;
constexpr int64_t block_rows = xsimd::batch<float>::size >= 16 ? 8 : 6;
// Over so short an inner dimension, what is written decides: row by row.
constexpr int64_t short_inner = 32;
constexpr int64_t cache_line = 64;

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

// One block of the result; of its columns, `count` exist. Panels of b are `apart` elements from each other.
// What lies at `next`, unless that is null, is asked for row by row meanwhile. The compiler keeps the sums in
// registers only where every loop over them is unrolled.
template <class T, int rows, int across>
void block(int64_t inner, int64_t count, const T* a, int64_t a_row, int64_t a_column, const T* b,
           int64_t b_row, int64_t apart, const T* next, const T* start, int64_t start_row, T* result,
           int64_t result_row) {
  using Batch = xsimd::batch<T>;
  if (inner > short_inner)
#pragma GCC unroll 24
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 24
      for (int v = 0; v < across; ++v) {
        __builtin_prefetch(result + i * result_row + v * width<T>, 1);
        if (start) __builtin_prefetch(start + i * start_row + v * width<T>);
      }
  Batch sums[rows][across];
#pragma GCC unroll 24
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 24
    for (int v = 0; v < across; ++v) sums[i][v] = Batch(T(0));
  for (int64_t k = 0; k < inner; ++k) {
    Batch row[across];
#pragma GCC unroll 24
    for (int v = 0; v < across; ++v)
      row[v] = Batch::load_unaligned(b + v / vectors * apart + k * b_row + v % vectors * width<T>);
    if (next)
#pragma GCC unroll 24
      for (int64_t at = 0; at < across * width<T>; at += cache_line / static_cast<int64_t>(sizeof(T)))
        __builtin_prefetch(next + k * b_row + at, 0, 2);
#pragma GCC unroll 24
    for (int i = 0; i < rows; ++i) {
      const Batch element(a[i * a_row + k * a_column]);
#pragma GCC unroll 24
      for (int v = 0; v < across; ++v) sums[i][v] = multiply_add(element, row[v], sums[i][v]);
    }
  }
  if (count == across * width<T>) {
#pragma GCC unroll 24
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 24
      for (int v = 0; v < across; ++v) {
        if (start) sums[i][v] = sums[i][v] + Batch::load_unaligned(start + i * start_row + v * width<T>);
        sums[i][v].store_unaligned(result + i * result_row + v * width<T>);
      }
  } else {
    alignas(64) T padded[rows][across * width<T>];
#pragma GCC unroll 24
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 24
      for (int v = 0; v < across; ++v) sums[i][v].store_aligned(&padded[i][v * width<T>]);
    for (int i = 0; i < rows; ++i)
      for (int64_t j = 0; j < count; ++j)
        result[i * result_row + j] = padded[i][j] + (start ? start[i * start_row + j] : T(0));
  }
}

template <class T>
using Block = void (*)(int64_t, int64_t, const T*, int64_t, int64_t, const T*, int64_t, int64_t, const T*,
                       const T*, int64_t, T*, int64_t);

template <class T, int across, int... i>
constexpr std::array<Block<T>, sizeof...(i)> blocks_of(std::integer_sequence<int, i...>) {
  return {block<T, i + 1, across>...};
}
// blocks<T, across>[i] has i + 1 rows. A single vector leaves registers for twice as many.
template <class T, int across>
constexpr auto blocks =
    blocks_of<T, across>(std::make_integer_sequence<int, block_rows * vectors / across>());

// Few rows leave registers for the sums of more columns.
constexpr int64_t few_rows = 2;
constexpr int wide = 8;
template <class T, int rows, int... i>
constexpr std::array<Block<T>, sizeof...(i)> wide_blocks_of(std::integer_sequence<int, i...>) {
  return {block<T, rows, i + 1>...};
}
// wide_blocks<T, rows>[i] takes i + 1 vectors of columns.
template <class T, int rows>
constexpr auto wide_blocks = wide_blocks_of<T, rows>(
    std::make_integer_sequence<int, std::min<int>(wide, block_rows* vectors / rows)>());

// That of so many rows, which are few, for at most `vectors_left` vectors of columns, and how many it takes.
template <class T>
std::pair<Block<T>, int64_t> wide_block(int64_t rows, int64_t vectors_left) {
  static_assert(few_rows == 2);
  const auto of = [&](const auto& kernels) {
    const int64_t across = std::min(static_cast<int64_t>(kernels.size()), vectors_left);
    return std::pair<Block<T>, int64_t>(kernels[across - 1], across);
  };
  return rows == 1 ? of(wide_blocks<T, 1>) : of(wide_blocks<T, 2>);
}

}  // namespace product_kernel_detail

}  // namespace lariat
