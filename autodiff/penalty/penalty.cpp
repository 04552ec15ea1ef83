#include "autodiff/penalty/penalty.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "autodiff/gradient.hpp"
#include "autodiff/penalty/affine_view.hpp"
#include "autodiff/penalty/combination.hpp"
#include "autodiff/penalty/kink_sums.hpp"
#include "autodiff/penalty/left_terms.hpp"
#include "autodiff/penalty/linear_rows.hpp"
#include "autodiff/penalty/loss_terms.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// Whether a penalty on parameters is among each node's ancestors.
std::vector<bool> over_penalties(const Graph& graph, const Dependence& depends) {
  std::vector<bool> result(graph.size());
  for (int32_t id = 0; id < graph.size(); ++id)
    for (const Edge& edge : graph.node(id).inputs)
      if (result[edge.node] || (graph.node(edge.node).op->penalty && depends.on_parameters[edge.node]))
        result[id] = true;
  return result;
}

struct Refused {
  std::string code, reason, advice;
};

// Why a penalty node of the loss has no prox, so far as its place in the graph tells.
std::optional<Refused> refused_by_place(int32_t id, const Dependence& depends, const Paths& paths) {
  if (!paths.reached[id]) {
    if (!paths.linear[id]) return Refused{};
    return Refused{"L106", "it is under stop_gradient, so its gradient is zero by design",
                   "take stop_gradient away, or drop the term"};
  }
  if (depends.on_data[id]) {
    if (!paths.linear[id]) return Refused{};
    return Refused{"L101", "its argument depends on the data",
                   "only terms of parameters alone have a prox; nothing to do for a data loss"};
  }
  if (!paths.linear[id]) {
    if (!depends.on_trained[id]) return Refused{};
    return Refused{"L105", "the loss does not depend on it linearly: it sits under another function",
                   "add the penalty to the loss itself"};
  }
  if (depends.on_random[id])
    return Refused{"L111", "its argument is masked at random, so that the prox would be biased",
                   "penalise the parameter itself, and drop out activations only"};
  return std::nullopt;
}

// The least of a constant's elements, where it is below 0.
std::optional<double> negative_element(Value weight) {
  const std::optional<Tensor> constant = constant_value(repeated_value(weight));
  double least = 0;
  for (int64_t i = 0; constant && i < constant->count(); ++i) least = std::min(least, constant->at(i));
  return least < 0 ? std::optional(least) : std::nullopt;
}

void check_sign(Value weight, const Penalty& penalty, const Attributes& attributes,
                const std::string& parameter) {
  if (const std::optional<double> negative = negative_element(weight))
    throw UserError(fmt::format(
        "L104: the coefficient of {} on '{}' is {:.6g}; a penalty needs a coefficient of 0 or more",
        with_names(penalty, "x", attributes), parameter, *negative));
  if (const std::optional<double> infinite = infinite_element(weight))
    throw UserError(fmt::format("L104: the coefficient of {} on '{}' is {}; a penalty needs a finite one",
                                with_names(penalty, "x", attributes), parameter, *infinite));
}

// The weight, which is read and checked at each step: one number as one, before it is repeated.
Value checked_weight(Value weight, std::source_location where) {
  if (constant_value(weight)) return weight;
  Graph& graph = weight.graph();
  std::vector<int32_t> repeats;  // the selections from that number to the weight, last first
  Value number = weight;
  for (const Node* node = &graph.node(number.node());
       number.rank() > 0 && node->op->traits.selection && node->inputs.size() == 1;
       node = &graph.node(number.node())) {
    repeats.push_back(number.node());
    number = graph.value(node->inputs[0]);
  }
  if (number.rank() > 0) return build("require_nonnegative", {Operand(weight, where)});
  Value checked = build("require_nonnegative", {Operand(number, where)});
  for (auto id = repeats.rbegin(); id != repeats.rend(); ++id) {
    const Node node = graph.node(*id);
    checked = graph.add(*node.op, std::vector<Value>{checked}, node.attributes, node.name, node.where);
  }
  return checked;
}

// The terms that the node is for the parameters it shows. Throws NotAView. `alone` says that the coefficient
// must be 0 or more by itself, not only in a sum with those of other terms.
std::vector<PenaltyTerm> terms_of(Value node, Value adjoint, const Dependence& depends, bool alone,
                                  const std::vector<int32_t>& combined = {}) {
  Graph& graph = node.graph();
  const Node written = graph.node(node.node());
  const Penalty& penalty = *written.op->penalty;
  const Value argument = graph.value(written.inputs[0]);
  const std::vector<int32_t> shown = combined.empty() ? shown_parameters(argument, depends) : combined;
  if (shown.empty()) return {};
  if (alone) {
    check_sign(adjoint, penalty, written.attributes, graph.node(shown.front()).name);
    adjoint = checked_weight(adjoint, written.where);
  }
  std::vector<PenaltyTerm> terms;
  PenaltyTerm common;
  common.node = node;
  common.penalty = &penalty;
  common.where = written.where;
  common.combines = !combined.empty();
  if (penalty.scalar && !common.combines) {
    if (adjoint.shape() != argument.shape()) adjoint = broadcast_to(adjoint, argument.shape());
    const ScalarPenalty function = penalty.scalar(written.attributes);
    const ScalarTerm written_term = scalar_term(function, adjoint);
    for (auto& [parameter, scalar] : carry_to_parameters(argument, written_term, depends)) {
      PenaltyTerm term = common;
      term.parameters = {graph.node(parameter).name};
      round_bounds_inward(argument, graph.value({parameter, 0}), function, scalar);
      term.scalar = settled_term(std::move(scalar));
      describe(term);
      terms.push_back(std::move(term));
    }
    return terms;
  }
  if (!is_known(argument.shape()))
    throw NotAView{
        "L108",
        fmt::format("its argument is {}: it repeats elements as often as the data say, and the prox "
                    "of such a sum is not known",
                    text(argument.shape())),
        "penalise the parameter before it is repeated"};
  for (int32_t id : shown) common.parameters.push_back(graph.node(id).name);
  common.argument = argument;
  common.weight = settled(adjoint);
  describe(common);
  terms.push_back(std::move(common));
  return terms;
}

}  // namespace

ScalarTerm PenaltyTerm::on_argument() const {
  return scalar_term(penalty->scalar(node.graph().node(node.node()).attributes), weight);
}

namespace {

// A penalty node that nothing speaks against so far.
struct Candidate {
  Value node, adjoint;
  std::vector<PenaltyTerm> terms;
  bool alone = true;
};

const char* const concave_reason = "its coefficient is negative, so that it is concave";
const char* const concave_advice = "nothing to do where that is meant; its subgradient is taken";

bool has_weights(const PenaltyTerm& term) {
  return term.scalar && (term.scalar->quadratic || !term.scalar->kinks.empty());
}

// The terms with weights, with their candidates, by parameter.
using OwnTerms = std::vector<std::pair<Candidate*, PenaltyTerm*>>;
std::map<std::string, OwnTerms> terms_by_parameter(std::vector<Candidate>& candidates) {
  std::map<std::string, OwnTerms> result;
  for (Candidate& candidate : candidates)
    for (PenaltyTerm& term : candidate.terms)
      if (has_weights(term)) result[term.parameters.front()].emplace_back(&candidate, &term);
  return result;
}

// By how much each kink bends the sum, and the coefficient of its square: what must be 0 or more.
std::vector<Value*> bends(ScalarTerm& sum) {
  std::vector<Value*> result;
  if (sum.quadratic) result.push_back(&sum.quadratic);
  for (ScalarTerm::Kink& kink : sum.kinks) {
    if (kink.below) kink.below = settled(kink.above - kink.below);
    result.push_back(kink.below ? &kink.below : &kink.above);
  }
  return result;
}

// The candidates whose coefficients on a parameter can be judged as a sum only: one is a negative constant,
// or is read at each step, and another one is at the same place.
void mark_sums(const OwnTerms& own) {
  struct Place {
    std::vector<Candidate*> candidates;
    bool needs_sum = false;
  };
  KinkPlaces number_of;
  std::vector<Place> places(1);  // squares, and then those of kinks
  for (const auto& [candidate, term] : own) {
    const bool needs_sum = !constant_value(candidate->adjoint) || negative_element(candidate->adjoint);
    const auto stands_at = [&, candidate = candidate](size_t place) {
      if (places.size() <= place) places.resize(place + 1);
      std::vector<Candidate*>& there = places[place].candidates;
      if (there.empty() || there.back() != candidate) there.push_back(candidate);
      places[place].needs_sum |= needs_sum;
    };
    if (term->scalar->quadratic) stands_at(0);
    for (const ScalarTerm::Kink& kink : term->scalar->kinks) stands_at(1 + number_of(kink.at));
  }
  for (const Place& place : places)
    if (place.needs_sum && place.candidates.size() > 1)
      for (Candidate* candidate : place.candidates) candidate->alone = false;
}

// Gives the first of the parameter's terms that count as a sum all of it. Returns false, and what is
// negative, where it is not 0 or more.
std::optional<double> take_sum(const OwnTerms& own) {
  std::vector<PenaltyTerm*> members;
  for (const auto& [candidate, term] : own)
    if (!candidate->alone) members.push_back(term);
  if (members.empty()) return std::nullopt;
  ScalarSum added;
  double largest = 0;
  for (const PenaltyTerm* member : members) {
    added.add(*member->scalar);
    largest = std::max(largest, largest_slope(member->scalar->kinks));
  }
  const ScalarTerm sum = settled_term(added.sum());
  ScalarTerm bent = sum;
  bool constant = true;
  const std::vector<Value*> all = bends(bent);
  for (Value* bend : all) {
    const std::optional<double> negative = negative_element(*bend);
    if (negative && !is_rounding(*negative, largest)) return negative;
    if (negative) *bend = settled(maximum(*bend, 0));
    constant = constant && constant_value(*bend);
    if (!constant_value(*bend)) *bend = build("require_nonnegative", {Operand(*bend, members[0]->where)});
  }
  for (ScalarTerm::Kink& kink : bent.kinks)
    if (kink.below) kink.below = kink.above - kink.below;
  for (PenaltyTerm* member : members) member->scalar = ScalarTerm{};
  members[0]->scalar = settled_term(bent);
  const bool one_place = bent.kinks.size() + (bent.quadratic ? 1 : 0) == 1;
  if (!constant || !one_place) return std::nullopt;
  for (PenaltyTerm* member : members) member->text.clear();
  describe(*members[0]);
  return std::nullopt;
}

// Checks the candidates' coefficients, those that count as a sum together. What is concave by itself, and an
// op that is common in models, is refused.
void check_coefficients(std::vector<Candidate>& candidates, const Dependence& depends,
                        const std::vector<Value>& parameters,
                        const std::function<void(const Candidate&)>& refuse_concave) {
  std::map<std::string, OwnTerms> by_parameter = terms_by_parameter(candidates);
  for (Value parameter : parameters) mark_sums(by_parameter[parameter.name()]);
  const auto is_concave = [&](const Candidate& candidate) {
    return negative_element(candidate.adjoint) &&
           candidate.node.graph().node(candidate.node.node()).op->penalty->everyday;
  };
  std::erase_if(candidates, [&](const Candidate& candidate) {
    const bool concave = candidate.alone && is_concave(candidate);
    if (concave) refuse_concave(candidate);
    return concave;
  });
  for (Candidate& candidate : candidates) {
    const bool judged = !candidate.alone || candidate.terms.empty() || !candidate.terms[0].scalar;
    if (!judged) candidate.terms = terms_of(candidate.node, candidate.adjoint, depends, true);
  }
  by_parameter = terms_by_parameter(candidates);
  std::set<const Candidate*> refused;
  for (Value parameter : parameters)
    for (OwnTerms& own = by_parameter[parameter.name()];;) {
      std::erase_if(own, [&](const auto& term) { return refused.contains(term.first); });
      const std::optional<double> negative = take_sum(own);
      if (!negative) break;
      const auto concave = std::find_if(own.begin(), own.end(), [&](const auto& term) {
        return !term.first->alone && is_concave(*term.first);
      });
      if (concave == own.end())
        throw UserError(fmt::format(
            "L104: the coefficients on '{}' add up to a bend of {:.6g}; penalties need sums of 0 or more",
            parameter.name(), *negative));
      refuse_concave(*concave->first);
      refused.insert(concave->first);
    }
  std::erase_if(candidates, [&](const Candidate& candidate) { return refused.contains(&candidate); });
}

// The trained parameters that a penalty's argument combines, such as w - v, without any element in two of its
// own; none where the prox of that is not known.
std::vector<int32_t> combined_by(Value node, Value adjoint, const Dependence& depends) {
  Graph& graph = node.graph();
  const Node& written = graph.node(node.node());
  const Penalty& penalty = *written.op->penalty;
  const Value argument = graph.value(written.inputs[0]);
  if (!penalty.nonsmooth || penalty.scalar_metric || !is_known(argument.shape()) ||
      !may_be_rows(argument, depends.on_parameters) || negative_element(adjoint))
    return {};
  const ScalarPenalty scalar = penalty.scalar ? penalty.scalar(written.attributes) : ScalarPenalty{};
  if (scalar.quadratic != 0 || std::isfinite(scalar.low) || std::isfinite(scalar.high)) return {};
  const std::vector<int32_t> found = combined_parameters(argument);
  for (int32_t id : found)
    if (!depends.is_trained[id]) return {};
  return found;
}

}  // namespace

PenaltySplit split_penalties(Value loss, const std::vector<Value>& parameters, SmoothTerms smooth_terms,
                             Sums sums, PenaltySplit* of_all) {
  Graph& graph = loss.graph();
  Dependence depends = dependence(loss, parameters);
  const Paths paths = paths_to(loss);
  const std::vector<bool> plain = in_plain_terms(loss, depends.on_data);
  const std::vector<bool> holds_penalty = over_penalties(graph, depends);

  PenaltySplit split;
  LeftTerms left(loss, depends, paths, plain);
  const auto refuse = [&](int32_t id, const std::string& code, const std::string& reason,
                          const std::string& advice) {
    const Node& node = graph.node(id);
    const bool silent = node.op->penalty->everyday && (!plain[id] || holds_penalty[id]);
    if (!node.op->penalty->nonsmooth || silent || code.empty()) return;
    split.refusals.push_back({code, node.op->name, reason, advice, node.where});
    left.leave({&graph, id});
  };
  std::vector<Value> nodes;
  const std::vector<bool> smooth = left.refuse_smooth(split.refusals),
                          mixed = left.refuse_mixed(split.refusals);
  for (const int32_t id : as_written(loss)) {
    if (smooth[id] || mixed[id]) continue;
    if (!graph.node(id).op->penalty || !depends.on_parameters[id]) continue;
    if (const auto refused = refused_by_place(id, depends, paths)) {
      refuse(id, refused->code, refused->reason, refused->advice);
    } else {
      nodes.push_back({&graph, id});
    }
  }

  const std::vector<Value> adjoints = gradient(loss, nodes, nodes);
  extend(depends, graph);  // the adjoints' nodes
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const int32_t id = nodes[i].node(), adjoint = adjoints[i].node();
    const Penalty& penalty = *graph.node(id).op->penalty;
    if (depends.on_random[adjoint]) {
      refuse(id, "L111", "it is masked at random, so that the prox would be biased",
             "penalise every element at every step");
    } else if (depends.on_trained[adjoint]) {
      refuse(id, "L103", "its coefficient is itself trained, and would shrink to zero",
             "make the coefficient a constant or a fed scalar, or wrap it in stop_gradient");
    } else if (depends.on_data[adjoint]) {
      refuse(id, "L101", "its coefficient depends on the data",
             "make the coefficient a constant or a fed scalar");
    } else if (depends.varying[adjoint]) {
      refuse(id, "L105", "a comparison with parameters switches it on and off",
             "add the penalty to the loss itself, or wrap the condition in stop_gradient");
    } else if (penalty.everyday && !penalty.scalar && negative_element(adjoints[i])) {
      refuse(id, "L112", concave_reason, concave_advice);
    } else {
      try {
        candidates.push_back({nodes[i], adjoints[i], {}});
        candidates.back().terms = terms_of(nodes[i], adjoints[i], depends, !penalty.scalar);
      } catch (const NotAView& why) {
        const auto combined =
            why.code == "L102" ? combined_by(nodes[i], adjoints[i], depends) : std::vector<int32_t>();
        if (!combined.empty()) {
          candidates.back().terms = terms_of(nodes[i], adjoints[i], depends, true, combined);
          continue;
        }
        candidates.pop_back();
        const Value argument = graph.value(graph.node(id).inputs[0]);
        if (why.code == "L102" && !penalty.scalar && may_be_rows(argument, depends.on_parameters) &&
            are_shared_differences(argument)) {
          refuse(id, "L108",
                 "it is of differences that share elements, and the prox of their norms is not known",
                 "penalise them one by one, as sum(absolute_differences(w, axis)) does");
        } else {
          const size_t before = split.refusals.size();
          refuse(id, why.code, why.reason, why.advice);
          if (split.refusals.size() > before) split.refusals.back().leaps = why.code == "L112";
        }
      }
    }
  }
  // An op that is common in models and concave by itself is no penalty.
  check_coefficients(candidates, depends, parameters, [&](const Candidate& candidate) {
    refuse(candidate.node.node(), "L112", concave_reason, concave_advice);
  });
  std::vector<Value> kept_nodes;
  for (const Candidate& candidate : candidates) {
    left.name(candidate.node.node());
    kept_nodes.push_back(candidate.node);
    split.terms.insert(split.terms.end(), candidate.terms.begin(), candidate.terms.end());
  }
  std::vector<Value> slopes;  // of what was left
  if (!split.terms.empty() && !left.left().empty()) {
    slopes = gradient(loss, left.left(), kept_nodes);
    extend(depends, graph);
  }
  const auto finished = [&](PenaltySplit result, Sums kept) {
    if (kept == Sums::exact && !slopes.empty()) left.refuse_beside_bends(slopes, result);
    if (kept == Sums::exact) refuse_inexact_sums(result);
    if (smooth_terms == SmoothTerms::all) {
      left.refuse_kinks(result.refusals);
    } else {
      leave_smooth_terms(result);
      left.report(result);
    }
    return result;
  };
  if (of_all != nullptr) *of_all = finished(split, Sums::all);
  return finished(std::move(split), sums);
}

}  // namespace lariat
