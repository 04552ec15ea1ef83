#pragma once

#include "graph/ir/graph.hpp"

namespace lariat {

/// Drops nodes that no output depends on.
void remove_dead(const Graph& from, Graph& to);

}  // namespace lariat
