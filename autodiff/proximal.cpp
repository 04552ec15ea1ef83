#include "autodiff/proximal.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lariat {

namespace {

void in_stage_order(std::vector<PenaltyTerm>& terms) {
  std::stable_sort(terms.begin(), terms.end(), [](const PenaltyTerm& a, const PenaltyTerm& b) {
    return a.penalty->stage < b.penalty->stage;
  });
}

std::string describe(const PenaltyTerm& term) {
  std::string formula = term.penalty->formula;
  if (const size_t x = formula.find('x'); x != std::string::npos) formula.replace(x, 1, term.parameter);
  return term.coefficient ? fmt::format("{:.6g} * {}", *term.coefficient, formula)
                          : fmt::format("weighted {}", formula);
}

}  // namespace

Value proximal_update(const ProxPoint& proposal, std::vector<PenaltyTerm> terms) {
  in_stage_order(terms);
  ProxPoint at = proposal;
  // Terms of one operator add up before it is applied: S(S(v, s), t) = S(v, s + t) holds, but rounds twice.
  for (size_t i = 0; i < terms.size();) {
    const Penalty* penalty = terms[i].penalty;
    Value weight = terms[i].weight;
    for (++i; i < terms.size() && terms[i].penalty->prox == penalty->prox; ++i)
      weight = weight + terms[i].weight;
    at = penalty->prox(at, weight);
  }
  return at.point;
}

RewriteReport make_report(const PenaltySplit& split, const std::string& metric) {
  RewriteReport report;
  report.refused = split.refusals;
  std::vector<PenaltyTerm> terms = split.terms;
  in_stage_order(terms);
  for (const PenaltyTerm& term : terms) {
    auto entry = std::find_if(report.rewritten.begin(), report.rewritten.end(),
                              [&](const RewriteReport::Entry& e) { return e.parameter == term.parameter; });
    if (entry == report.rewritten.end())
      entry = report.rewritten.insert(entry, {term.parameter, {}, {}, metric});
    entry->terms.push_back(describe(term));
    if (entry->operator_name.find(term.penalty->operator_name) == std::string::npos)
      entry->operator_name += (entry->operator_name.empty() ? "" : ", ") + term.penalty->operator_name;
  }
  std::sort(
      report.rewritten.begin(), report.rewritten.end(),
      [](const RewriteReport::Entry& a, const RewriteReport::Entry& b) { return a.parameter < b.parameter; });
  return report;
}

}  // namespace lariat
