#pragma once

#include <string>

#include "graph/ir/attributes.hpp"

namespace lariat {

/// How deep a graph may sit in the attributes of another's nodes, in text and in verify().
inline constexpr int max_graph_nesting = 64;

/// The graph as text that parse_graph() reads back to the same text: one line a node, then the outputs and
/// updates.
///
///     %0 = input() {dtype=f32, shape=shape[batch, 4]} : f32[batch, 4] "x"  # train.cpp:12
///     %1 = top_k(%0) {k=2} : f32[batch, 2], i32[batch, 2]
///     output indices = %1.1
///
/// `%1` is output 0 of node 1, `%1.1` its output 1. Attributes that equal the record's default are left out;
/// what follows # is a comment, the source line that built the node.
std::string to_text(const Graph& graph);

/// One attribute as the graph's text writes it: true, 3, 0.5, "text", [1, 2], shape[batch, 3], f32,
/// f32[2]{1, 2} (exact to the bit, NaN included), graph { … }.
std::string to_text(const Attribute& attribute);

/// The graph for Graphviz (`dot -Tsvg`): sources are coloured by kind, edges carry types, updates are dashed
/// edges to their parameter.
std::string to_dot(const Graph& graph);

}  // namespace lariat
