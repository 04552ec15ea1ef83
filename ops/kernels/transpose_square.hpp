#pragma once

#include <cstdint>
#include <utility>
#include <xsimd/xsimd.hpp>

namespace lariat {

// Of two rows of a square, those whose numbers differ by `half`: the one or the other after a round.
template <int half, bool of_lower, class Vector, size_t... j>
[[gnu::always_inline]] inline Vector merged(Vector upper, Vector lower, std::index_sequence<j...>) {
  constexpr size_t n = sizeof...(j);
  return __builtin_shufflevector(
      upper, lower, (of_lower ? (j & half ? n + j : j + half) : (j & half ? n + j - half : j))...);
}

template <int half, int n, class Vector>
[[gnu::always_inline]] inline void transpose_rounds(Vector* rows) {
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i)
    if (!(i & half)) {
      const Vector upper = rows[i], lower = rows[i + half];
      rows[i] = merged<half, false>(upper, lower, std::make_index_sequence<n>());
      rows[i + half] = merged<half, true>(upper, lower, std::make_index_sequence<n>());
    }
  if constexpr (2 * half < n) transpose_rounds<2 * half, n>(rows);
}

// to[j, i] = from[i, j] for a square of a vector's width, by doubling the size of what is in place: after
// round r, squares of 2^r are transposed.
template <class T>
void transpose_square(const T* from, int64_t from_row, T* to, int64_t to_row) {
  using Vector [[gnu::vector_size(sizeof(T) * xsimd::batch<T>::size)]] = T;
  constexpr int n = xsimd::batch<T>::size;
  Vector rows[n];
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i) __builtin_memcpy(&rows[i], from + i * from_row, sizeof(Vector));
  transpose_rounds<1, n>(rows);
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i) __builtin_memcpy(to + i * to_row, &rows[i], sizeof(Vector));
}

}  // namespace lariat
