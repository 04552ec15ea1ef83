#pragma once

#include <vector>

#include "autodiff/training/trainer.hpp"

namespace lariat {

/// A gradient that is scaled down, and the factor, a scalar or one for each element; empty: 1.
struct ClippedGradient {
  Value gradient, factor;
};

/// Limits the gradients as the options say. A step that is made of a scaled gradient is a step in a scaled
/// metric: a prox must take its step times the same factor, or it solves another problem (docs/proximal.md).
/// Where `one_factor` is set for a gradient, its prox needs one step for all elements, and limiting elements
/// scales all of them alike.
std::vector<ClippedGradient> clip_gradients(const std::vector<Value>& gradients,
                                            const std::vector<bool>& one_factor,
                                            const TrainerOptions& options);

}  // namespace lariat
