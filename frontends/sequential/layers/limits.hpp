#pragma once

#include <cstdint>

namespace lariat {

/// Past these sizes a model is a slip of the finger.
inline constexpr int64_t most_units = 65536, most_frames = 10000;
/// Channels of data that a layer selects from.
inline constexpr int64_t most_channels = int64_t{1} << 20;

/// Longer than any sequence; to count on would leave 64 bits after a few layers.
inline constexpr int64_t endless_frames = int64_t{1} << 31;

}  // namespace lariat
