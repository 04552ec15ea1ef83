#pragma once

#include "graph/graph.hpp"

namespace lariat {

/// Computes nodes whose inputs are all constants and whose results are small.
void fold_constants(const Graph& from, Graph& to);

}  // namespace lariat
