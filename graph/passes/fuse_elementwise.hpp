#pragma once

#include "graph/ir/graph.hpp"

namespace lariat {

/// Joins element-wise nodes of one shape into a fused node that runs them in one loop over memory.
void fuse_elementwise(const Graph& from, Graph& to);

}  // namespace lariat
