#pragma once

#include "graph/io/store.hpp"
#include "graph/ir/graph.hpp"

namespace lariat::to_c {

/// Copies what `value` of a network's graph is at inference into `to`, with its parameters and states as
/// constants of `store` and numbers of 64 bits as ones of 32, which is what C computes in. The only output is
/// `value`. `names`, of each node of the graph, are for those without a name of their own.
void inference_graph(const Graph& graph, const Value& value, const Store& store, Graph& to,
                     const std::vector<std::string>& names = {});

/// Throws UserError naming the first op of `graph` that cannot go to C, or that a plugin made.
void check_ops(const Graph& graph);

/// The attributes of a node where symbols have sizes.
Attributes concrete_attributes(const Node& node, const Bindings& bindings);

/// Copies `from` with its symbols replaced by sizes.
void concrete_graph(const Graph& from, const Bindings& bindings, Graph& to);

/// The passes that make a graph shorter, with loops joined that C can write as one.
std::unique_ptr<Graph> shortened(const Graph& graph);

}  // namespace lariat::to_c
