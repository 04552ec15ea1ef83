#pragma once

#include <span>
#include <string>

#include "graph/ir/graph.hpp"

namespace lariat {

/// Equal keys mean nodes of the same op and attributes that read `inputs`. Large constants take part by their
/// bits' hash and size.
std::string node_key(const Node& node, std::span<const Edge> inputs);

/// Merges nodes of the same op, inputs and attributes.
void merge_common(const Graph& from, Graph& to);

}  // namespace lariat
