#pragma once

#include "graph/ir/graph.hpp"

namespace lariat {

/// Drops nodes that no output depends on.
void remove_dead(const Graph& from, Graph& to);
/// Whether there are none.
bool all_live(const Graph& graph);

}  // namespace lariat
