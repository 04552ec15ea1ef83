#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/base/tensor.hpp"
#include "graph/io/store.hpp"

namespace lariat {

/// Slopes by each weight, or what each is moved by; one tensor for each parameter.
using Gradients = std::vector<Tensor>;

/// Which way the weights are moved, and how far for the size of their parameter: each by another distance, so
/// that differences move too; all forwards, or some of them backwards.
Gradients direction_of(const Store& store, const std::vector<std::string>& names, bool both_ways);

/// The weights a little beside where they are.
Store moved_weights(const Store& store, const std::vector<std::string>& names, const Gradients& direction,
                    double by);

/// Leaves of a direction d the weights whose slopes jump against it, jump·d < 0; returns how many others it
/// moved and how many are left.
std::pair<int64_t, int64_t> keep_falling(Gradients& direction, const Gradients& jumps);

/// Turns each weight of a direction to the side on which it falls faster, where the gradients on the two
/// sides are these; whether any is turned.
bool turn_steeper(Gradients& direction, const std::vector<Gradients>& sides);

}  // namespace lariat
