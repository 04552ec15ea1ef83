#pragma once

#include "graph/ir/graph.hpp"

namespace lariat {

/// Computes nodes whose inputs are all constants, none of whose results is larger than its inputs, or more
/// than small. All results together take no more memory than the constants that were there.
void fold_constants(const Graph& from, Graph& to);

}  // namespace lariat
