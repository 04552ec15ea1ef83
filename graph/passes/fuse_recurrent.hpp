#pragma once

#include "graph/ir/graph.hpp"

namespace lariat {

/// Joins chains of nodes whose record is a step of a recurrence, and that share their weights, into the
/// record's node over the whole sequence. To be done before differentiation too, so that the gradient is that
/// of the sequence.
void fuse_recurrent(const Graph& from, Graph& to);
/// Whether no node is a step of a recurrence.
bool without_recurrences(const Graph& graph);

}  // namespace lariat
