#pragma once

#include "graph/graph.hpp"

namespace lariat {

/// Rewrites by rules of algebra that keep every value's bits.
void simplify(const Graph& from, Graph& to);

}  // namespace lariat
