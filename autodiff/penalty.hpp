#pragma once

#include <optional>

#include "autodiff/rewrite_report.hpp"
#include "graph/builder.hpp"
#include "graph/graph.hpp"
#include "graph/op_def.hpp"

namespace lariat {

/// A term h = Σᵢ weightᵢ φ(wᵢ) of a loss, φ being the function of a penalty record and w one parameter.
struct PenaltyTerm {
  /// The node whose backward edge is cut.
  Value node;
  const Penalty* penalty = nullptr;
  std::string parameter;
  /// Of the parameter's shape, or a scalar: every factor between the term and the loss included.
  Value weight;
  /// The weight where it is one constant for all elements.
  std::optional<double> coefficient;
  std::source_location where;
};

struct PenaltySplit {
  std::vector<PenaltyTerm> terms;
  std::vector<Refusal> refusals;
};

/// Finds the penalty terms of `loss`: nodes whose record is a penalty, on which the loss depends linearly,
/// and whose argument is a scaled view of one of `parameters`. Terms of a parameter are taken only where one
/// of them has a kink. Adds nodes for the weights. Throws UserError (L104) for a constant negative weight.
PenaltySplit split_penalties(Value loss, const std::vector<Value>& parameters);

/// Copies the graph of `loss` into `to` with every listed spelling of |x| and x² turned into abs and square;
/// only values that depend on no input are touched. Returns the loss in `to`.
Value canonicalize_penalties(Value loss, Graph& to);

/// The value as a tensor where it depends on constants only.
std::optional<Tensor> constant_value(Value value);

}  // namespace lariat
