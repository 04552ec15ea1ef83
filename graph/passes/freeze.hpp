#pragma once

#include "graph/graph.hpp"
#include "graph/store.hpp"

namespace lariat {

/// Turns the parameters and states that the outputs depend on into constants: the tensors of `store`, whose
/// memory they share. Throws UserError where the store lacks one or has it with another type.
void freeze(const Graph& from, const Store& store, Graph& to);

}  // namespace lariat
