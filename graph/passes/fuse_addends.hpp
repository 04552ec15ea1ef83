#pragma once

#include "graph/ir/graph.hpp"

namespace lariat {

/// Lets ops whose record offers it add a value while they write their result: a bias, or another part of a
/// gradient.
void fuse_addends(const Graph& from, Graph& to);
/// Whether no node's record offers that.
bool without_addends(const Graph& graph);

}  // namespace lariat
