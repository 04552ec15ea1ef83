#pragma once

#include <cstdint>

#include "frontends/data/dataset.hpp"

namespace lariat::testing {

/// Clouds of points around one corner of a cube per class; the last dimensions are noise.
data::Dataset points(int count, int classes, int dimensions, uint64_t seed);

/// Sequences of various lengths in which the channel of the class is louder than the others.
data::Dataset sequences(int count, int classes, int dimensions, int shortest, int longest, uint64_t seed);

}  // namespace lariat::testing
