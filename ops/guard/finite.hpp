#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace lariat {

/// Whether all numbers are finite. Without its sign, the bits of one that is not are at least those of
/// infinity.
template <class T>
bool all_finite(const T* x, int64_t count) {
  if constexpr (std::is_floating_point_v<T>) {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    constexpr Bits magnitude = std::numeric_limits<Bits>::max() >> 1,
                   infinity = std::bit_cast<Bits>(std::numeric_limits<T>::infinity());
    Bits largest = 0;
    for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::bit_cast<Bits>(x[i]) & magnitude);
    return largest < infinity;
  }
  return true;
}

}  // namespace lariat
