#include "autodiff/penalty/loss_parts.hpp"

#include <set>

#include "autodiff/gradient.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// Σ weight·elements; one number that weighs all of them does so once, and the sum is the one that the loss
// has.
Value weighted_sum(Value weight, Value elements) {
  Graph& graph = weight.graph();
  const Node& node = graph.node(weight.node());
  if (node.op->name == "broadcast_to")
    if (const Value one = graph.value(node.inputs[0]); element_count(one.shape()) == Dim(1))
      return reshape(one, {}) * sum(elements);
  return sum(weight * elements);
}

}  // namespace

LossParts::LossParts(Value written, Graph& to, const std::vector<std::string>& names, Sums sums) {
  loss = canonicalize_penalties(written, to);
  for (const std::string& name : names) parameters.push_back(to.find_source(name));
  split = split_penalties(loss, parameters, SmoothTerms::beside_kinks, sums);
  cut_terms();
}

LossParts::LossParts(Value written, Graph& to, const std::vector<std::string>& names,
                     std::optional<LossParts>& of_all) {
  loss = canonicalize_penalties(written, to);
  for (const std::string& name : names) parameters.push_back(to.find_source(name));
  of_all.emplace(loss, parameters);
  split = split_penalties(loss, parameters, SmoothTerms::beside_kinks, Sums::exact, &of_all->split);
  cut_terms();
  of_all->cut_terms();
}

void LossParts::cut_terms() {
  std::set<int32_t> seen;
  for (const PenaltyTerm& term : split.terms)
    if (seen.insert(term.node.node()).second) cut.push_back(term.node);
}

Value LossParts::penalty_by(std::span<const Value> adjoints) const {
  Value penalty;
  for (size_t i = 0; i < cut.size(); ++i) {
    Value part = weighted_sum(adjoints[i], cut[i]);
    if (part.dtype() != loss.dtype()) part = cast(part, loss.dtype());
    penalty = penalty ? penalty + part : part;
  }
  return penalty;
}

LossParts::Gradients LossParts::gradients(std::vector<int32_t>* gradient_of, Value share) const {
  std::vector<Value> wanted = parameters;
  wanted.insert(wanted.end(), cut.begin(), cut.end());
  const Value whole = share ? loss * cast(share, loss.dtype()) : loss;
  std::vector<Value> all = gradient(whole, wanted, cut, gradient_of);
  const Value penalty = penalty_by(std::span(all).subspan(parameters.size()));
  all.resize(parameters.size());
  return {all, penalty};
}

Value LossParts::penalty() const { return penalty_by(gradient(loss, cut, cut)); }

}  // namespace lariat
