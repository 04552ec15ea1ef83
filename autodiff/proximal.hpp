#pragma once

#include "autodiff/penalty.hpp"
#include "autodiff/rewrite_report.hpp"

namespace lariat {

/// prox of the sum of `terms` (all of one parameter) at the optimizer's proposal, in the proposal's own
/// metric: w⁺ = argmin_w Σ terms(w) + Σᵢ (wᵢ - vᵢ)²/(2 stepᵢ).
Value proximal_update(const ProxPoint& proposal, std::vector<PenaltyTerm> terms);

RewriteReport make_report(const PenaltySplit& split, const std::string& metric);

}  // namespace lariat
