#pragma once

#include "graph/io/store.hpp"
#include "graph/ir/graph.hpp"

namespace lariat {

/// Turns the parameters and states that the outputs depend on, but those that are updated, into constants:
/// the tensors of `store`, whose memory they share. Throws UserError where the store lacks one or has it with
/// another type.
void freeze(const Graph& from, const Store& store, Graph& to);

}  // namespace lariat
