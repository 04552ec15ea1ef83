#pragma once

#include <map>

#include "autodiff/penalty/penalty.hpp"
#include "autodiff/penalty/rewrite_report.hpp"

namespace lariat {

/// The parameters' proposals by name.
using ProxPoints = std::map<std::string, ProxPoint>;

/// prox of the sum of `terms` at the optimizer's proposals, in the proposals' own metric:
///   w⁺ = argmin_w Σ terms(w) + Σᵢ (wᵢ - vᵢ)²/(2 stepᵢ),
/// for every parameter; one without a term keeps its proposal.
std::map<std::string, Value> proximal_updates(const ProxPoints& proposals,
                                              const std::vector<PenaltyTerm>& terms);

RewriteReport make_report(const PenaltySplit& split, const std::string& metric);

}  // namespace lariat
