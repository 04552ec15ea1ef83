#pragma once

#include "autodiff/penalty/element_functions.hpp"
#include "autodiff/penalty/signs.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/passes/rewrite.hpp"

namespace lariat {

/// What the rules know of the graph that they write to.
struct Spellings {
  explicit Spellings(Graph& graph) : functions(graph), signs(graph) {}

  ElementFunctions functions;
  Signs signs;
  /// Whether the node that is looked at is part of a term of parameters alone that the loss adds up.
  bool in_plain_term = false;
};

/// Roots of sums of squares, of their maxima, and norms of norms.
std::vector<Rule> norm_rules(Spellings& spellings);

/// Powers and products of a value with itself.
std::vector<Rule> power_rules(Spellings& spellings);

/// x and a number above 0, where the value is |x| times it.
struct ScaledAbs {
  Value x;
  double factor;
};
std::optional<ScaledAbs> scaled_abs(Value value);

/// `loss` with the arguments of its penalties as views of parameters, where they are products with constant
/// matrices or sums that come to one: one element of one parameter each. |differences| of elements become
/// total variations, and total variations of the same elements one.
Value with_plain_arguments(Value loss);

}  // namespace lariat
