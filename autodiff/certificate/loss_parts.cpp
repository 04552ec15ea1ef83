#include "autodiff/certificate/loss_parts.hpp"

#include <algorithm>

#include "autodiff/gradient.hpp"
#include "ops/ops.hpp"

namespace lariat {

LossParts::LossParts(Graph& written, const std::vector<std::string>& names, Sums sums) {
  loss = canonicalize_penalties(written.find_output("loss"), *graph);
  for (const std::string& name : names) parameters.push_back(graph->find_source(name));
  split = split_penalties(loss, parameters, SmoothTerms::beside_kinks, sums);
  for (const PenaltyTerm& term : split.terms)
    if (!is_among(cut, term.node)) cut.push_back(term.node);
}

LossParts::Gradients LossParts::gradients() const {
  std::vector<Value> wanted = parameters;
  wanted.insert(wanted.end(), cut.begin(), cut.end());
  std::vector<Value> all = gradient(loss, wanted, cut);
  Value penalty = graph->constant(0.0, loss.dtype());
  for (size_t i = 0; i < cut.size(); ++i) penalty = penalty + sum(all[parameters.size() + i] * cut[i]);
  all.resize(parameters.size());
  return {all, penalty};
}

}  // namespace lariat
