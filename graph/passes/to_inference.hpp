#pragma once

#include "graph/ir/graph.hpp"

namespace lariat {

/// Replaces ops that only matter in training, such as dropout, by the input their record names for inference.
void to_inference(const Graph& from, Graph& to);

}  // namespace lariat
