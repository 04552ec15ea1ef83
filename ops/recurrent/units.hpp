#pragma once

#include <algorithm>

#include "ops/kernels/simd.hpp"

namespace lariat {

/// Runs body(load, store) over full vectors of units [begin, end), then once over a padded remainder.
template <class T, class Body>
void over_units(int64_t begin, int64_t end, const Body& body) {
  using Batch = xsimd::batch<T>;
  constexpr int64_t width = Batch::size;
  int64_t j = begin;
  for (; j + width <= end; j += width)
    body([&](const T* from) { return Batch::load_unaligned(from + j); },
         [&](Batch value, T* to) { value.store_unaligned(to + j); });
  if (const int64_t rest = end - j; rest > 0)
    body(
        [&](const T* from) {
          alignas(64) T padded[width] = {};
          std::copy_n(from + j, rest, padded);
          return Batch::load_aligned(padded);
        },
        [&](Batch value, T* to) {
          alignas(64) T padded[width];
          value.store_aligned(padded);
          std::copy_n(padded, rest, to + j);
        });
}

}  // namespace lariat
