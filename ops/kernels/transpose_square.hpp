#pragma once

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

template <class Vector, size_t... i>
[[gnu::always_inline]] inline auto joined(Vector low, Vector high, std::index_sequence<i...>) {
  return __builtin_shufflevector(low, high, i...);
}

// Lanes from rows `step` apart, one after the other.
template <class T, size_t count>
[[gnu::always_inline]] inline VectorOf<T, count> lanes_of(const T* from, int64_t step) {
  if constexpr (count == lane<T>) {
    VectorOf<T, count> result;
    std::memcpy(&result, from, sizeof result);
    return result;
  } else {
    constexpr size_t half = count / 2;
    return joined(lanes_of<T, half>(from, step), lanes_of<T, half>(from + half / lane<T> * step, step),
                  std::make_index_sequence<count>());
  }
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

}  // namespace transpose_square_detail

// to[j, i] = from[i, j] for a square of a vector's width n: a vector is put together from the lanes that hold
// the same few columns of rows a lane's width apart, and what is left is transposed within lanes.
template <class T>
void transpose_square(const T* from, int64_t from_row, T* to, int64_t to_row) {
  using namespace transpose_square_detail;
  constexpr size_t n = xsimd::batch<T>::size, width = lane<T>;
  using Vector = VectorOf<T, n>;
  constexpr auto all = std::make_index_sequence<n>();
  const auto put = [&](size_t row, Vector vector) {
    std::memcpy(to + static_cast<int64_t>(row) * to_row, &vector, sizeof vector);
  };
#pragma GCC unroll 8
  for (size_t column = 0; column < n; column += width) {
    Vector rows[width];
#pragma GCC unroll 4
    for (size_t i = 0; i < width; ++i)
      rows[i] = lanes_of<T, n>(from + static_cast<int64_t>(i) * from_row + column,
                               static_cast<int64_t>(width) * from_row);
    const Vector low = interleaved<width, 1, false>(rows[0], rows[1], all),
                 high = interleaved<width, 1, true>(rows[0], rows[1], all);
    if constexpr (width == 2) {
      put(column, low);
      put(column + 1, high);
    } else {
      const Vector low_2 = interleaved<width, 1, false>(rows[2], rows[3], all),
                   high_2 = interleaved<width, 1, true>(rows[2], rows[3], all);
      put(column, interleaved<width, 2, false>(low, low_2, all));
      put(column + 1, interleaved<width, 2, true>(low, low_2, all));
      put(column + 2, interleaved<width, 2, false>(high, high_2, all));
      put(column + 3, interleaved<width, 2, true>(high, high_2, all));
    }
  }
}

}  // namespace lariat
