#pragma once

#include "graph/ir/graph.hpp"

namespace lariat {

/// Replaces ops that only matter in training, such as dropout, by the input their record names for inference;
/// updates that leave a state as it is are left out.
void to_inference(const Graph& from, Graph& to);
/// The same of what one value depends on, and of the sources before it: that value in `to`.
Value to_inference(Value of, Graph& to);

}  // namespace lariat
