#pragma once

#include <optional>
#include <span>

#include "autodiff/penalty/element_functions.hpp"
#include "autodiff/penalty/loss_terms.hpp"
#include "autodiff/penalty/penalty.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "autodiff/penalty/signs.hpp"

namespace lariat {

/// Leaves to the gradient the smooth terms that stand beside no kink. A node cut for one parameter is cut for
/// all it shows, so smooth terms stay only where every parameter they show has a kink from another term.
void leave_smooth_terms(PenaltySplit& split);

/// Sees to it that every term of parameters alone is named in the report.
class LeftTerms {
 public:
  LeftTerms(Value loss, const Dependence& depends, const Paths& paths, const std::vector<bool>& plain);

  /// Refuses (L107) what looks kinked and is smooth by construction, and says which nodes belong to nothing
  /// else.
  std::vector<bool> refuse_smooth(std::vector<Refusal>& refusals);
  /// Refuses functions of single elements that bend up at some kinks and down at others, as ||w| - 1| does,
  /// each by one line, and says which nodes that line covers: those in it that make it up.
  std::vector<bool> refuse_mixed(std::vector<Refusal>& refusals);
  /// The report has named this node; the terms that it is part of need no other line.
  void name(int32_t node) { named_[node] = true; }
  /// The same of a node that was refused and keeps its subgradient.
  void leave(Value node);
  const std::vector<Value>& left() const { return left_; }
  /// Refuses (L108) terms with kinks of parameters that a node which was left has, too, where that one may
  /// bend down: what the gradient takes at its kink is no subgradient then. `adjoints` are of left().
  void refuse_beside_bends(std::span<const Value> adjoints, PenaltySplit& split);
  /// Refuses (L112) the terms that have a kink and no name yet, and lists the others as smooth.
  void report(PenaltySplit& split);
  /// Refuses (L112) those terms without a name whose own op has a kink.
  void refuse_kinks(std::vector<Refusal>& refusals);

 private:
  class Inputs;  // what a record is told of a node's inputs
  /// Whether a node has a kink in what is trained, its inputs taken as smooth.
  bool bends(int32_t node);
  /// Marks a node that is a function of `of`, and those of which nothing else is made; returns them.
  std::vector<int32_t> cover(int32_t node, Value of, std::vector<bool>& covered) const;
  /// Whether a penalty is among what makes it up.
  bool holds_penalty(int32_t node, Value of) const;
  /// Whether a smooth penalty is of distances to constants: a data loss whose data are constants.
  bool is_distance(int32_t term) const;
  /// Finds, of each node as a term, what is in it.
  void look_within();
  /// Finds what stop_gradient hides of kinks and leaps.
  void look_behind_stops();
  /// Nothing behind it counts.
  bool is_constant_to_gradient(const Node& node) const;
  /// Refuses (L107) those of the smooth terms which are at one of these nodes, in a term that holds a stopped
  /// kink.
  void refuse_reweighted(const std::vector<int32_t>& nodes, PenaltySplit& split) const;
  void refuse_kink(int32_t node, const ParameterTerm& of, std::vector<Refusal>& refusals) const;
  /// The nodes of a term that change with what is trained, the last first.
  std::vector<int32_t> within(int32_t term) const;

  Graph& graph_;
  const std::vector<std::vector<int32_t>> readers_;
  const std::vector<bool> live_;  // other spellings are left behind
  const Value loss_;
  const Dependence& depends_;
  const Paths& paths_;
  const std::vector<bool>& plain_;
  std::vector<bool> named_, smooth_, moves_;
  std::vector<Value> left_;
  // Whether a term holds a name, or is smooth by construction in part, and its outermost node that has a kink
  // which no name covers (-1: none).
  std::vector<bool> holds_name_, holds_smooth_;
  // Whether what stop_gradient holds still in it bends or leaps with what is trained.
  std::vector<bool> holds_stopped_kink_;
  std::vector<int32_t> nameless_kink_;
  Signs signs_;
};

}  // namespace lariat
