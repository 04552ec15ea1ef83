#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <xsimd/xsimd.hpp>

namespace lariat {

namespace transpose_square_detail {

// Numbers of a lane of 16 bytes, in which shuffles are cheapest.
template <class T>
constexpr size_t lane = 16 / sizeof(T);
template <class T, size_t count>
using VectorOf [[gnu::vector_size(sizeof(T) * count)]] = T;

// The first halves of two vectors, or the second ones.
template <bool second, class Vector, size_t... i>
[[gnu::always_inline]] inline Vector halves(Vector a, Vector b, std::index_sequence<i...>) {
  constexpr size_t n = sizeof...(i);
  return __builtin_shufflevector(a, b, ((second ? n / 2 : 0) + i % (n / 2) + (i < n / 2 ? 0 : n))...);
}

// Of every lane of two vectors, alternately `run` numbers of the one and of the other: those of its first
// half, or of its second.
template <size_t width, size_t run, bool second, class Vector, size_t... i>
[[gnu::always_inline]] inline Vector interleaved(Vector a, Vector b, std::index_sequence<i...>) {
  constexpr size_t n = sizeof...(i);
  return __builtin_shufflevector(a, b,
                                 (i / width * width + (second ? width / 2 : 0) + i % width / (2 * run) * run +
                                  i % run + (i % width / run % 2 == 1 ? n : 0))...);
}

// Of a square of lanes of numbers: put(j, what lies in column j of each lane's square).
template <size_t n, class Put, class Vector>
[[gnu::always_inline]] inline void transpose_lanes(const Vector* rows, const Put& put) {
  constexpr size_t width = 16 / (sizeof(Vector) / n);
  constexpr auto all = std::make_index_sequence<n>();
  const Vector low = interleaved<width, 1, false>(rows[0], rows[1], all),
               high = interleaved<width, 1, true>(rows[0], rows[1], all);
  if constexpr (width == 2) {
    put(0, low);
    put(1, high);
  } else {
    const Vector low_2 = interleaved<width, 1, false>(rows[2], rows[3], all),
                 high_2 = interleaved<width, 1, true>(rows[2], rows[3], all);
    put(0, interleaved<width, 2, false>(low, low_2, all));
    put(1, interleaved<width, 2, true>(low, low_2, all));
    put(2, interleaved<width, 2, false>(high, high_2, all));
    put(3, interleaved<width, 2, true>(high, high_2, all));
  }
}

#if defined(__AVX512F__)
// A square of vectors of 64 bytes: put(j, column j). Lanes are put together as they come from memory, which
// takes no shuffle.
template <class T, class Put>
[[gnu::always_inline]] inline void transpose_by_lanes(const T* from, int64_t from_row, const Put& put) {
  constexpr size_t width = lane<T>, n = 4 * width;
  const auto at = [&](size_t row, size_t column) {
    return _mm_loadu_ps(reinterpret_cast<const float*>(from + static_cast<int64_t>(row) * from_row + column));
  };
#pragma GCC unroll 8
  for (size_t column = 0; column < n; column += width) {
    VectorOf<T, n> rows[width];
#pragma GCC unroll 4
    for (size_t i = 0; i < width; ++i) {
      __m512 row = _mm512_castps128_ps512(at(i, column));
      row = _mm512_insertf32x4(row, at(i + width, column), 1);
      row = _mm512_insertf32x4(row, at(i + 2 * width, column), 2);
      row = _mm512_insertf32x4(row, at(i + 3 * width, column), 3);
      rows[i] = reinterpret_cast<VectorOf<T, n>>(row);
    }
    transpose_lanes<n>(rows, [&](size_t j, const auto& vector) { put(column + j, vector); });
  }
}
#endif

// A square of vectors of 16 or 32 bytes: put(j, column j). Rows that lie apart by a power of two share few
// places of a cache: each is read once.
template <class T, size_t n, class Put>
[[gnu::always_inline]] inline void transpose_vectors(const T* from, int64_t from_row, const Put& put) {
  constexpr size_t width = lane<T>;
  using Vector = VectorOf<T, n>;
  constexpr auto all = std::make_index_sequence<n>();
  Vector rows[n];
#pragma GCC unroll 8
  for (size_t i = 0; i < n; ++i)
    std::memcpy(&rows[i], from + static_cast<int64_t>(i) * from_row, sizeof rows[i]);
  if constexpr (n > width)
#pragma GCC unroll 4
    for (size_t i = 0; i < width; ++i) {
      const Vector low = halves<false>(rows[i], rows[i + width], all);
      rows[i + width] = halves<true>(rows[i], rows[i + width], all);
      rows[i] = low;
    }
#pragma GCC unroll 2
  for (size_t column = 0; column < n; column += width)
    transpose_lanes<n>(rows + column, [&](size_t j, const auto& vector) { put(column + j, vector); });
}

}  // namespace transpose_square_detail

// Columns j of a square of a vector's width: put(j, from[…, j]).
template <class T, class Put>
[[gnu::always_inline]] inline void transpose_square(const T* from, int64_t from_row, const Put& put) {
  using namespace transpose_square_detail;
  const auto put_column = [&](size_t j, const auto& column) { put(static_cast<int64_t>(j), column); };
#if defined(__AVX512F__)
  static_assert(xsimd::batch<T>::size == 64 / sizeof(T));
  transpose_by_lanes(from, from_row, put_column);
#else
  transpose_vectors<T, xsimd::batch<T>::size>(from, from_row, put_column);
#endif
}

// to[j, i] = from[i, j].
template <class T>
void transpose_square(const T* from, int64_t from_row, T* to, int64_t to_row) {
  transpose_square(from, from_row, [&](int64_t j, const auto& column) {
    std::memcpy(to + j * to_row, &column, sizeof column);
  });
}

}  // namespace lariat
