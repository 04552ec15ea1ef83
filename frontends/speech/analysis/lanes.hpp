#pragma once

#include <cstdint>
#include <xsimd/xsimd.hpp>

namespace lariat::speech {

/// One number of each of several frames, which are analysed side by side: a frame per lane of a SIMD vector.
/// Each lane is computed from that lane alone, so a frame's bits do not depend on its neighbours. Doubles,
/// for a quiet bin of a spectrum is a small difference of large numbers.
using Lanes = xsimd::batch<double>;
constexpr int64_t lane_count = Lanes::size;

/// lanes[t][j] = rows[j·stride + t] for t < length and j < count, 1 ≤ count ≤ lane_count. Lanes beyond the
/// last row repeat it.
void load_lanes(const float* rows, int64_t stride, int64_t count, int64_t length, Lanes* lanes);

/// rows[j·length + t] = lanes[t][j] for t < length and j < count.
void store_lanes(const Lanes* lanes, int64_t count, int64_t length, float* rows);

}  // namespace lariat::speech
