#pragma once

#include "graph/ir/graph.hpp"

namespace lariat {

/// Rewrites by rules of algebra that keep every value's bits; only products of transposed matrices may be
/// summed in another order.
void simplify(const Graph& from, Graph& to);

}  // namespace lariat
