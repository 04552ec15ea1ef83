#pragma once

#include <vector>

#include "graph/ir/graph.hpp"

namespace lariat {

/// Whether the node's op has points without a derivative.
bool has_kinks(const Node& node);

/// Whether the node makes whole numbers of floats, as a cast to i32 and argmax do: it leaps, and no gradient
/// passes.
bool makes_whole_numbers(const Graph& graph, const Node& node);
/// Whether what the node gives leaps where its derivative is taken to be 0.
bool leaps(const Graph& graph, const Node& node);

/// Whether each node depends on parameters, by any path.
std::vector<bool> on_parameters(const Graph& graph);

/// Whether a node joins several values of parameters otherwise than by adding or selecting: what is one of
/// them is then no term by itself.
bool joins_parameters(const Graph& graph, int32_t id, const std::vector<bool>& on_parameters);

/// The nodes that the loss is made of, each behind its inputs and these in their order: as it is written,
/// whatever order they were built in, which C++ leaves open for the operands of a call.
std::vector<int32_t> as_written(Value loss);

struct Paths {
  /// reached: by paths that gradients take back from the loss; linear: the loss depends linearly on the node
  /// along every such path, or along every path at all where there is none.
  std::vector<bool> reached, linear;
};
/// Where the loss depends linearly on a node whose adjoint is free of the parameters, that adjoint is the
/// term's exact coefficient.
Paths paths_to(Value loss);

/// Whether each node is part of a term of the loss that no data enter: where an op that is common in models
/// stands there, it is meant as a penalty.
std::vector<bool> in_plain_terms(Value loss, const std::vector<bool>& on_data);

/// A term of parameters alone that a loss adds up.
struct ParameterTerm {
  int32_t node;      ///< the outermost of the term
  bool beside_data;  ///< data multiply it
};
/// What stays of a loss when sums, selections and factors are taken off, so far as no data enter it.
std::vector<ParameterTerm> plain_terms(Value loss, const std::vector<bool>& on_data,
                                       const std::vector<bool>& on_parameters);

/// The inputs that are data. A scalar is a coefficient that the host schedules; and so is an input of a known
/// shape that the loss takes in only as a coefficient of penalties, outside of their arguments.
std::vector<int32_t> data_inputs(Value loss);

}  // namespace lariat
