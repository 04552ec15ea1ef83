#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "autodiff/penalty/penalty.hpp"
#include "graph/ir/graph.hpp"

namespace lariat {

/// Why a penalty's argument does not show parameters element by element.
struct NotAView {
  std::string code, reason, advice;
};

/// value = factor·base + shift, element by element, over a run of links that each scale and shift one value;
/// no shift where it is 0.
struct ScaledRun {
  Value base, factor, shift;
  int64_t links = 0;
};

/// What the graph's nodes depend on, as far as penalties care.
struct Dependence {
  std::vector<bool> on_data, on_random, on_parameters;
  /// By a path that gradients take: on any parameter, and on a trained one.
  std::vector<bool> attached, on_trained;
  /// On a trained parameter, by a path without stop_gradient: comparisons let no gradient through, but what
  /// they give still changes with the parameter.
  std::vector<bool> varying;
  /// The trained parameters themselves.
  std::vector<bool> is_trained;
  /// Runs that were looked at, by the node that they lead to: those of a chain are each a link longer.
  /// Without factors where only their ends were asked for.
  mutable std::unordered_map<int32_t, ScaledRun> runs;
};
Dependence dependence(Value loss, const std::vector<Value>& trained);
/// Takes in nodes that were added to the graph since; there are no sources but constants among them.
void extend(Dependence& depends, const Graph& graph);

/// How a node shows parameters: by a selection of its inputs' elements, or by one input, scaled and shifted.
struct Link {
  bool is_selection;
  std::vector<bool> shows;  // which inputs
  size_t input = 0;         // the one that is scaled
};
/// Throws NotAView.
Link link_of(const Graph& graph, int32_t id, const Dependence& depends);

/// Whether a view ends at the node: at parameters. Throws NotAView where it may not.
bool ends_at(const Node& node, int32_t id, const Dependence& depends);

/// What a link that scales makes of its input, or the whole run of links that ends in it of the run's base,
/// where the run is long. Throws NotAView.
ScaledRun scaled_behind(Value value, const Link& link, const Dependence& depends);
/// The base of the run that ends in such a link. Throws NotAView.
Value end_of_run(Value value, const Link& link, const Dependence& depends);

inline Value input_of(Value value, size_t index) { return value.graph().value(node_of(value).inputs[index]); }
inline bool is_op(Value value, std::string_view name) { return node_of(value).op->name == name; }
/// The value as an operand of what is written where `root` is.
inline Operand at(Value value, Value root) { return {value, node_of(root).where}; }

/// A node once more, with other inputs.
Value rebuilt(Graph& graph, const Node& node, const std::vector<Value>& inputs, int32_t output);

/// Carries a term on the elements of `argument` back to the parameters it shows: selections by their vjp, so
/// that what overlaps adds up, and factors and shifts into slopes and kinks. By parameter's node. Throws
/// NotAView.
std::map<int32_t, ScalarTerm> carry_to_parameters(Value argument, const ScalarTerm& term,
                                                  const Dependence& depends);

/// The nodes of the parameters that `argument` shows by selections, factors and shifts. Throws NotAView.
std::vector<int32_t> shown_parameters(Value argument, const Dependence& depends);

/// All parameters that a value is made of, however.
std::vector<Value> parameters_behind(Value value);

/// Whether what is added to the elements a value shows stays, or counts as 0.
enum class Shifts { kept, dropped };
/// `value` with other values for some nodes it depends on (of the same types).
Value substitute(Value value, const std::map<int32_t, Value>& replaced, Shifts shifts = Shifts::kept);

/// The value as a tensor where it depends on constants only.
std::optional<Tensor> constant_value(Value value);
/// What the value repeats, whose elements are the same numbers: a coefficient is a scalar, not a tensor of
/// its weight's size.
Value repeated_value(Value value);
/// An element of a constant that is infinite or NaN, where there is one.
std::optional<double> infinite_element(Value value);
/// The value as a constant, a scalar where all elements are equal, if it depends on constants only; else the
/// value.
Value settled(Value value);
/// The number that all elements of a constant are.
std::optional<double> uniform_value(Value value);
/// A number, or a number times a scalar input that the host schedules.
struct Coefficient {
  double number = 0;
  std::string input;
};
/// What all elements of `value` are, where it is such a coefficient.
std::optional<Coefficient> coefficient_of(Value value);

}  // namespace lariat
