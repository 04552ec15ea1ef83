#pragma once

#include <set>
#include <string>

#include "autodiff/penalty/penalty.hpp"

namespace lariat {

/// Refuses (L108) structured terms whose prox cannot be combined exactly with those of the other terms on the
/// same parameters; of two, the later one. The theorems behind what is kept are in docs/proximal.md. Marks
/// the terms whose prox takes in kinks and bounds.
void refuse_inexact_sums(PenaltySplit& split);

/// Throws UserError where constant bounds on a parameter exclude each other: the loss is infinite then,
/// whatever the weights.
void check_bounds(const std::vector<PenaltyTerm>& terms);

/// The parameters where the prox of these terms is exact only if all steps of one parameter are the same.
std::set<std::string, std::less<>> parameters_of_one_step(const std::vector<PenaltyTerm>& terms);

/// The structured terms of a combination that take in no kinks, in the order in which they are applied:
/// nested groups from the leaves to the root.
std::vector<const PenaltyTerm*> in_order(const std::vector<PenaltyTerm>& terms, Combination combination);

}  // namespace lariat
