#include "autodiff/penalty/left_terms.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace lariat {

LeftTerms::LeftTerms(Value loss, const Dependence& depends, const Paths& paths,
                     const std::vector<bool>& plain)
    : graph_(loss.graph()),
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
  const auto readers = users(graph_);
  const std::vector<SmoothSpelling> found = smooth_spellings(graph_, eligible);
  for (auto spelling = found.rbegin(); spelling != found.rend(); ++spelling) {
    if (covered[spelling->node]) continue;  // part of a larger one
    const Node& node = graph_.node(spelling->node);
    refusals.push_back(
        {"L107", node.op->name,
         fmt::format("{} is smooth by construction, so that it makes no weight exactly zero", spelling->what),
         "write sum(abs(w)), or for groups sqrt(sum(square(w), axes)) without a constant", node.where});
    smooth_[spelling->node] = covered[spelling->node] = true;
    // What it is a function of may have kinks of its own.
    std::set<int32_t, std::greater<>> inside{spelling->node};
    for (auto id = inside.begin(); id != inside.end(); ++id)
      for (const Edge& edge : graph_.node(*id).inputs) {
        const auto& reading = readers[edge.node];
        if (edge.node == spelling->of.node() ||
            !std::all_of(reading.begin(), reading.end(), [&](int32_t reader) { return covered[reader]; }))
          continue;
        covered[edge.node] = true;
        inside.insert(edge.node);
      }
  }
  for (size_t id = 0; id < covered.size(); ++id) smooth_[id] = smooth_[id] || covered[id];
  return covered;
}

bool LeftTerms::bends(int32_t id) {
  const Node& node = graph_.node(id);
  const auto input = [&](size_t i) { return graph_.value(node.inputs[i]); };
  if (node.op->penalty) return node.op->penalty->nonsmooth;
  // What is infinite at a pole is no place to end at, but a function of it may leap there.
  if (node.op->name == "reciprocal") return !paths_.linear[id] && !signs_.is_positive(input(0));
  if (node.op->name == "divide")
    return !paths_.linear[id] && moves_[node.inputs[1].node] && !signs_.is_positive(input(1));
  if (node.op->kinks.empty()) return false;
  const std::string& op = node.op->name;
  if (op == "sqrt") return !signs_.is_positive(input(0));
  if (op == "select") return moves_[node.inputs[0].node];
  if (op == "elu") return node.attributes.get<double>("alpha") != 1;
  if (op == "leaky_relu") return node.attributes.get<double>("slope") != 1;
  if (op == "power") {
    const std::optional<double> exponent = uniform_value(input(1));
    const bool whole = exponent && *exponent >= 0 && std::floor(*exponent) == *exponent;
    return !whole && !signs_.is_positive(input(0));
  }
  return true;
}

bool LeftTerms::is_distance(int32_t term) const {
  if (!graph_.node(term).op->penalty || graph_.node(term).op->penalty->nonsmooth) return false;
  const Node* of = &graph_.node(graph_.node(term).inputs[0].node);
  while (of->op->traits.selection && of->inputs.size() == 1) of = &graph_.node(of->inputs[0].node);
  return of->op->traits.additive && std::any_of(of->inputs.begin(), of->inputs.end(),
                                                [&](const Edge& edge) { return !moves_[edge.node]; });
}

std::vector<int32_t> LeftTerms::within(int32_t term) const {
  std::set<int32_t, std::greater<>> found{term};
  for (auto next = found.begin(); next != found.end(); ++next) {
    const Traits& traits = graph_.node(*next).op->traits;
    if (traits.stops_gradient && traits.is_linear(0)) continue;  // a constant to the gradient
    for (const Edge& edge : graph_.node(*next).inputs)
      if (moves_[edge.node]) found.insert(edge.node);
  }
  return {found.begin(), found.end()};
}

std::optional<int32_t> LeftTerms::nameless_kink(const std::vector<int32_t>& nodes) {
  // What stands behind a name, or is a function of what has one, is told of with it.
  std::set<int32_t> over_name, beside{nodes.front()};
  for (auto id = nodes.rbegin(); id != nodes.rend(); ++id) {
    const std::vector<Edge>& inputs = graph_.node(*id).inputs;
    if (graph_.node(*id).op->traits.stops_gradient) continue;  // a leap of its own
    if (named_[*id] || std::any_of(inputs.begin(), inputs.end(),
                                   [&](const Edge& edge) { return over_name.contains(edge.node); }))
      over_name.insert(*id);
  }
  for (int32_t id : nodes) {
    if (!beside.contains(id) || named_[id]) continue;
    const Node& node = graph_.node(id);
    const Traits& traits = node.op->traits;
    const bool over = over_name.contains(id),
               adds = traits.additive || traits.selection || node.op->name == "select";
    if (!over && !smooth_[id] && bends(id)) return id;
    // Factors and conditions of what has a name are told of with it.
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (!over || (traits.is_linear(i) && (adds || over_name.contains(node.inputs[i].node))))
        beside.insert(node.inputs[i].node);
  }
  return std::nullopt;
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
                      graph_.node(node).where});
}

void LeftTerms::report(PenaltySplit& split) {
  for (const ParameterTerm& of : plain_terms(loss_, depends_.on_data, depends_.on_parameters)) {
    const int32_t term = of.node;
    if (!moves_[term]) continue;
    const std::vector<int32_t> nodes = within(term);
    if (const std::optional<int32_t> kink = nameless_kink(nodes)) {
      refuse_kink(*kink, of, split.refusals);
      continue;
    }
    if (of.beside_data) continue;  // part of a model
    const Node& node = graph_.node(term);
    const bool is_named =
        std::any_of(nodes.begin(), nodes.end(), [&](int32_t id) { return named_[id] || smooth_[id]; });
    if (is_named || !paths_.reached[term] || is_distance(term)) continue;
    std::vector<std::string> names;
    for (auto id = nodes.rbegin(); id != nodes.rend(); ++id)
      if (graph_.node(*id).op->traits.source == SourceKind::parameter) names.push_back(graph_.node(*id).name);
    split.smooth.push_back({fmt::format("{}", fmt::join(names, ", ")), node.op->name, node.where});
  }
}

void LeftTerms::refuse_kinks(std::vector<Refusal>& refusals) {
  for (const ParameterTerm& term : plain_terms(loss_, depends_.on_data, depends_.on_parameters)) {
    const std::vector<int32_t> nodes = within(term.node);
    if (moves_[term.node] && !smooth_[term.node] && bends(term.node) &&
        std::none_of(nodes.begin(), nodes.end(), [&](int32_t id) { return named_[id]; }))
      refuse_kink(term.node, term, refusals);
  }
}

}  // namespace lariat
