#pragma once

#include <cstdint>

namespace lariat {

/// Past these sizes a model is a slip of the finger.
inline constexpr int64_t most_units = 65536, most_frames = 10000;

}  // namespace lariat
