#pragma once

#include <vector>

#include "graph/ir/graph.hpp"

namespace lariat {

/// The values of `outputs` of a graph that needs no feeds and no store, on one thread.
std::vector<Tensor> evaluate_constant(const Graph& graph);

/// The memory of constant `id`.
void* constant_data(const Graph& graph, int32_t id);
/// A tensor of its own with the view's elements.
Tensor copy_of(const TensorView& view);

}  // namespace lariat
