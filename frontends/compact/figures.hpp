#pragma once

#include "frontends/compact/compact.hpp"
#include "graph/exec/executor.hpp"

namespace lariat {

/// What a layer is and costs for one example; where states go on, for one of as many as they have rows.
struct LayerCost {
  std::string name, output;
  int64_t weights = 0, zeros = 0;
  /// As a model file holds them.
  uint64_t bytes = 0;
  /// Multiplications of weights; those with zeros are counted too.
  double multiply_adds = 0;
  /// The median of its runs; of a layer without anything to compute little more than the call.
  double seconds = 0;
};

struct StackCost {
  std::vector<LayerCost> layers;
  /// Of the whole at once, which is not the sum: passes join layers.
  double seconds = 0;
};

/// The costs of some stacks for the same example, `features` [time, dimensions] of sequences or [dimensions].
/// Their runs take turns, so that what else the machine does weighs on all alike; `seconds` of them for each
/// layer.
std::vector<StackCost> costs_of(const std::vector<const Stack*>& stacks, const Tensor& features,
                                Executor& executor, double seconds = 0.05);

/// Zeros as such an example; `frames` of a sequence, or as many as the layers need.
Tensor example_for(const Stack& stack, int64_t frames = 100);

}  // namespace lariat
