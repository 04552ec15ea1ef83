#include "autodiff/penalty/left_terms.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "autodiff/penalty/element_functions.hpp"
#include "autodiff/penalty/kink_sums.hpp"

namespace lariat {

namespace {

std::vector<bool> nodes_before(Value loss) {
  const Edge root{loss.node(), loss.output()};
  return ancestors(loss.graph(), {&root, 1});
}

}  // namespace

LeftTerms::LeftTerms(Value loss, const Dependence& depends, const Paths& paths,
                     const std::vector<bool>& plain)
    : graph_(loss.graph()),
      readers_(users(loss.graph())),
      live_(nodes_before(loss)),
      loss_(loss),
      depends_(depends),
      paths_(paths),
      plain_(plain),
      named_(plain.size()),
      smooth_(plain.size()),
      moves_(plain.size()),
      signs_(loss.graph()) {
  for (size_t id = 0; id < plain.size(); ++id) moves_[id] = depends.on_trained[id] || depends.varying[id];
}

std::vector<bool> LeftTerms::refuse_smooth(std::vector<Refusal>& refusals) {
  std::vector<bool> eligible(plain_.size()), covered(plain_.size());
  for (size_t id = 0; id < plain_.size(); ++id) eligible[id] = plain_[id] && depends_.on_trained[id];
  const std::vector<SmoothSpelling> found = smooth_spellings(graph_, eligible);
  for (auto spelling = found.rbegin(); spelling != found.rend(); ++spelling) {
    if (covered[spelling->node]) continue;  // part of a larger one
    const Node& node = graph_.node(spelling->node);
    refusals.push_back(
        {"L107", node.op->name,
         fmt::format("{} is smooth by construction, so that it makes no weight exactly zero", spelling->what),
         "write sum(abs(w)), or for groups sqrt(sum(square(w), axes)) without a constant", node.where});
    smooth_[spelling->node] = true;
    // What it is a function of may have kinks of its own.
    cover(spelling->node, spelling->of, covered);
  }
  for (size_t id = 0; id < covered.size(); ++id) smooth_[id] = smooth_[id] || covered[id];
  return covered;
}

std::vector<int32_t> LeftTerms::cover(int32_t node, Value of, std::vector<bool>& covered) const {
  covered[node] = true;
  std::set<int32_t, std::greater<>> inside{node};
  for (auto id = inside.begin(); id != inside.end(); ++id)
    for (const Edge& edge : graph_.node(*id).inputs) {
      const auto& reading = readers_[edge.node];
      if (edge.node == of.node() || !std::all_of(reading.begin(), reading.end(), [&](int32_t reader) {
            return covered[reader] || !live_[reader];
          }))
        continue;
      covered[edge.node] = true;
      inside.insert(edge.node);
    }
  return {inside.begin(), inside.end()};
}

bool LeftTerms::holds_penalty(int32_t node, Value of) const {
  std::set<int32_t, std::greater<>> inside{node};
  for (auto id = inside.begin(); id != inside.end(); ++id) {
    if (*id == of.node()) continue;
    if (*id != node && graph_.node(*id).op->penalty) return true;
    for (const Edge& edge : graph_.node(*id).inputs) inside.insert(edge.node);
  }
  return false;
}

std::vector<bool> LeftTerms::refuse_mixed(std::vector<Refusal>& refusals) {
  std::vector<bool> eligible(plain_.size()), covered(plain_.size());
  for (size_t id = 0; id < plain_.size(); ++id)
    eligible[id] = live_[id] && plain_[id] && paths_.reached[id] && paths_.linear[id] &&
                   depends_.on_trained[id] && !depends_.on_data[id] && !depends_.on_random[id] &&
                   !smooth_[id];
  ElementFunctions functions(graph_);
  std::vector<MixedKinks> found = mixed_kinks(graph_, eligible, functions);
  // By itself it has one line anyway.
  std::erase_if(found, [&](const MixedKinks& mixed) { return !holds_penalty(mixed.node.node(), mixed.of); });
  for (const MixedKinks& mixed : found) covered[mixed.node.node()] = true;
  for (const MixedKinks& mixed : found) {
    const Node& node = node_of(mixed.node);
    Refusal refusal{
        "L105", node.op->name,
        "it bends down at some of its kinks, and no other terms of the same elements are known to "
        "bend up there by as much",
        "add such terms, as 2 * sum(abs(w)) is beside sum(abs(abs(w) - 1)), or leave it out", node.where};
    try {
      shown_parameters(mixed.of, depends_);
    } catch (const NotAView& why) {
      refusal.code = why.code, refusal.reason = why.reason, refusal.advice = why.advice;
    }
    refusals.push_back(std::move(refusal));
    for (const int32_t id : cover(mixed.node.node(), mixed.of, covered))
      if (const auto& penalty = graph_.node(id).op->penalty; penalty && penalty->nonsmooth)
        leave({&graph_, id});
    name(mixed.node.node());
  }
  return covered;
}

void LeftTerms::leave(Value node) {
  name(node.node());
  if (paths_.reached[node.node()]) left_.push_back(node);
}

void LeftTerms::refuse_beside_bends(std::span<const Value> adjoints, PenaltySplit& split) {
  for (size_t i = 0; i < left_.size(); ++i) {
    const Node& node = node_of(left_[i]);
    if (depends_.on_data[adjoints[i].node()]) continue;  // a model's
    if (node.op->penalty->convex && signs_.is_nonnegative(adjoints[i])) continue;
    std::set<std::string> shown;
    try {
      for (const int32_t id : shown_parameters(graph_.value(node.inputs[0]), depends_))
        shown.insert(graph_.node(id).name);
    } catch (const NotAView&) {
      continue;  // a kink where no single element is told, as of a row's loss
    }
    std::erase_if(split.terms, [&](const PenaltyTerm& term) {
      if (!term.penalty->nonsmooth ||
          std::none_of(term.parameters.begin(), term.parameters.end(),
                       [&](const std::string& name) { return shown.contains(name); }))
        return false;
      split.refusals.push_back(
          {"L108", node_of(term.node).op->name,
           fmt::format("'{}' ({}) on the same parameter may bend down at its kink, and the prox of the sum "
                       "is not known",
                       node.op->name, text(node.where)),
           "leave that term out, or write the sum as one penalty, such as sum(2 * abs(w) + abs(abs(w) - 1))",
           term.where});
      return true;
    });
  }
}

class LeftTerms::Inputs : public BendContext {
 public:
  Inputs(LeftTerms& terms, const Node& node) : BendContext(node.attributes), terms_(terms), node_(node) {}
  bool moves(size_t input) const override { return terms_.moves_[node_.inputs[input].node]; }
  bool is_positive(size_t input) const override { return terms_.signs_.is_positive(value(input)); }
  std::optional<double> number(size_t input) const override { return uniform_value(value(input)); }

 private:
  Value value(size_t input) const { return terms_.graph_.value(node_.inputs[input]); }
  LeftTerms& terms_;
  const Node& node_;
};

bool LeftTerms::bends(int32_t id) {
  const Node& node = graph_.node(id);
  if (node.op->penalty) return node.op->penalty->nonsmooth;
  if (makes_whole_numbers(graph_, node)) return true;
  if (!node.op->bend) return !node.op->kinks.empty();
  const Bend bend = node.op->bend(Inputs(*this, node));
  // What is infinite at a pole is no place to end at, but a function of it may leap there.
  return bend == Bend::kink || (bend == Bend::pole && !paths_.linear[id]);
}

bool LeftTerms::is_distance(int32_t term) const {
  if (!graph_.node(term).op->penalty || graph_.node(term).op->penalty->nonsmooth) return false;
  const Node* of = &graph_.node(graph_.node(term).inputs[0].node);
  while (of->op->traits.selection && of->inputs.size() == 1) of = &graph_.node(of->inputs[0].node);
  return of->op->traits.additive && std::any_of(of->inputs.begin(), of->inputs.end(),
                                                [&](const Edge& edge) { return !moves_[edge.node]; });
}

bool LeftTerms::is_constant_to_gradient(const Node& node) const {
  return node.op->traits.stops_gradient && node.op->traits.is_linear(0);
}

std::vector<int32_t> LeftTerms::within(int32_t term) const {
  std::set<int32_t, std::greater<>> found{term};
  for (auto next = found.begin(); next != found.end(); ++next) {
    const Node& node = graph_.node(*next);
    if (is_constant_to_gradient(node)) continue;
    for (const Edge& edge : node.inputs)
      if (moves_[edge.node]) found.insert(edge.node);
  }
  return {found.begin(), found.end()};
}

void LeftTerms::look_behind_stops() {
  const size_t size = plain_.size();
  std::vector<bool> trained = depends_.is_trained, bent(size);  // by any path; and with a kink or leap within
  holds_stopped_kink_.assign(size, false);
  for (int32_t id = 0; id < static_cast<int32_t>(size); ++id) {
    if (depends_.on_data[id]) continue;
    const Node& node = graph_.node(id);
    if (node.op->traits.shape_only) continue;
    for (const Edge& edge : node.inputs) {
      trained[id] = trained[id] || trained[edge.node];
      bent[id] = bent[id] || bent[edge.node];
      holds_stopped_kink_[id] = holds_stopped_kink_[id] || holds_stopped_kink_[edge.node];
    }
    if (!trained[id]) continue;
    const bool leaps = is_comparison(node.op->name);
    bent[id] = bent[id] || leaps || bends(id);
    if ((is_constant_to_gradient(node) && bent[id]) || (leaps && !moves_[id])) holds_stopped_kink_[id] = true;
  }
}

void LeftTerms::look_within() {
  holds_name_.assign(plain_.size(), false);
  holds_smooth_.assign(plain_.size(), false);
  nameless_kink_.assign(plain_.size(), -1);
  std::vector<bool> over_name(plain_.size());
  for (int32_t id = 0; id < static_cast<int32_t>(plain_.size()); ++id) {
    if (depends_.on_data[id]) continue;
    const Node& node = graph_.node(id);
    const Traits& traits = node.op->traits;
    std::vector<Edge> inputs;
    if (!is_constant_to_gradient(node))
      for (const Edge& edge : node.inputs)
        if (moves_[edge.node]) inputs.push_back(edge);
    holds_name_[id] = named_[id];
    holds_smooth_[id] = smooth_[id];
    // What stands behind a name, or is a function of what has one, is told of with it.
    bool over = named_[id];
    for (const Edge& edge : inputs) {
      if (holds_name_[edge.node]) holds_name_[id] = true;
      if (holds_smooth_[edge.node]) holds_smooth_[id] = true;
      over = over || over_name[edge.node];
    }
    over_name[id] = over && !traits.stops_gradient;  // a leap of its own
    if (named_[id]) continue;
    if (!over_name[id] && !smooth_[id] && bends(id)) {
      nameless_kink_[id] = id;
      continue;
    }
    // Factors and conditions of what has a name are told of with it.
    const bool adds = traits.additive || traits.selection || node.op->name == "select";
    for (size_t i = 0; i < node.inputs.size() && !is_constant_to_gradient(node); ++i) {
      const int32_t input = node.inputs[i].node;
      if (!moves_[input]) continue;
      if (!over_name[id] || (traits.is_linear(i) && (adds || over_name[input])))
        nameless_kink_[id] = std::max(nameless_kink_[id], nameless_kink_[input]);
    }
  }
}

void LeftTerms::refuse_kink(int32_t node, const ParameterTerm& of, std::vector<Refusal>& refusals) const {
  const std::string& op = graph_.node(node).op->name;
  const int32_t term = of.node;
  if (of.beside_data) {
    refusals.push_back({"L101", op, "its coefficient depends on the data",
                        "make the coefficient a constant or a fed scalar", graph_.node(node).where});
    return;
  }
  if (!paths_.reached[term]) {
    refusals.push_back({"L106", op, "it is under stop_gradient, so its gradient is zero by design",
                        "take stop_gradient away, or drop the term", graph_.node(term).where});
    return;
  }
  refusals.push_back({"L112", op, "it has a kink or a leap, and is no penalty whose prox is known",
                      "write it as a sum of |x|, max(x, 0), norms or another op with a prox ('lariat ops')",
                      graph_.node(node).where, leaps(graph_, graph_.node(node))});
}

void LeftTerms::refuse_reweighted(const std::vector<int32_t>& nodes, PenaltySplit& split) const {
  for (auto term = split.smooth.begin(); term != split.smooth.end();) {
    if (std::find(nodes.begin(), nodes.end(), term->node) == nodes.end()) {
      ++term;
      continue;
    }
    split.refusals.push_back(
        {"L107", graph_.node(term->node).op->name,
         "squares with weights that parameters make, under stop_gradient, are smooth, so that they make no "
         "weight exactly zero",
         "write sum(abs(w)), or re-weighted sum(abs(w) * stop_gradient(1 / (abs(w) + 0.1)))", term->where});
    term = split.smooth.erase(term);
  }
}

void LeftTerms::report(PenaltySplit& split) {
  look_within();
  look_behind_stops();
  for (const ParameterTerm& of : plain_terms(loss_, depends_.on_data, depends_.on_parameters)) {
    const int32_t term = of.node;
    if (!moves_[term]) continue;
    if (nameless_kink_[term] >= 0) {
      refuse_kink(nameless_kink_[term], of, split.refusals);
      continue;
    }
    if (of.beside_data) continue;  // part of a model
    const Node& node = graph_.node(term);
    if (holds_stopped_kink_[term]) refuse_reweighted(within(term), split);
    if (holds_name_[term] || holds_smooth_[term] || !paths_.reached[term] || is_distance(term)) continue;
    if (holds_stopped_kink_[term]) {
      split.refusals.push_back({"L106", node.op->name,
                                "a part of it that has a kink or a leap is under stop_gradient, so that its "
                                "gradient is not that of its values",
                                "take stop_gradient away, or write the penalty, as sum(abs(w))", node.where});
      continue;
    }
    const std::vector<int32_t> nodes = within(term);
    std::vector<std::string> names;
    for (auto id = nodes.rbegin(); id != nodes.rend(); ++id)
      if (graph_.node(*id).op->traits.source == SourceKind::parameter) names.push_back(graph_.node(*id).name);
    split.smooth.push_back({fmt::format("{}", fmt::join(names, ", ")), node.op->name, node.where});
  }
}

void LeftTerms::refuse_kinks(std::vector<Refusal>& refusals) {
  look_within();
  for (const ParameterTerm& term : plain_terms(loss_, depends_.on_data, depends_.on_parameters))
    if (moves_[term.node] && !smooth_[term.node] && !holds_name_[term.node] && bends(term.node))
      refuse_kink(term.node, term, refusals);
}

void leave_smooth_terms(PenaltySplit& split) {
  std::set<std::string> kinked;
  for (const PenaltyTerm& term : split.terms)
    if (term.penalty->nonsmooth) kinked.insert(term.parameters.begin(), term.parameters.end());
  std::set<int32_t> keep_gradient;
  for (const PenaltyTerm& term : split.terms)
    if (!std::all_of(term.parameters.begin(), term.parameters.end(),
                     [&](const std::string& parameter) { return kinked.contains(parameter); })) {
      keep_gradient.insert(term.node.node());
      if (!term.text.empty())
        split.smooth.push_back({term.parameters.front(), term.text, term.where, term.node.node()});
    }
  std::erase_if(split.terms,
                [&](const PenaltyTerm& term) { return keep_gradient.contains(term.node.node()); });
}

}  // namespace lariat
