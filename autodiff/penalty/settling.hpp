#pragma once

#include <map>

#include "autodiff/penalty/penalty.hpp"

namespace lariat {

/// The elements that settling makes zero, or keeps so, where the parameters go from the values `from` to the
/// values `to`, as 1 beside 0, by the name of each parameter that has such elements:
/// - an element of a term with a kink or a bound at its 0: where it does not keep its sign,
/// - a group whose norm is penalised: where it does not stay in the half-space of directions that it had, ⟨a,
/// b⟩ > 0
///   (Chen et al. 2020, "Half-Space Proximal Stochastic Gradient Method for Group-Sparsity Regularized
///   Problems").
/// Nothing where bounds exclude 0, where the weight is the constant 0, and where the kink is at another place
/// than 0.
std::map<std::string, Value> settling_zeros(const std::map<std::string, Value>& from,
                                            const std::map<std::string, Value>& to,
                                            const std::vector<PenaltyTerm>& terms);

/// Whether a term with a kink makes elements or groups zero that settle.
bool settles(const PenaltyTerm& term);

/// The elements that are zero now and that settling keeps so.
std::map<std::string, Value> kept_zeros(const std::vector<Value>& parameters,
                                        const std::vector<PenaltyTerm>& terms);

}  // namespace lariat
