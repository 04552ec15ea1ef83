#pragma once

#include "graph/graph.hpp"

namespace lariat {

/// Merges nodes of the same op, inputs and attributes.
void merge_common(const Graph& from, Graph& to);

}  // namespace lariat
