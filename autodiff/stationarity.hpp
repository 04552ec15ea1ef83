#pragma once

#include <map>

#include "autodiff/penalty.hpp"

namespace lariat {

/// For parameters at the values they have, by name: the element of least norm of gradient + ∂h, h being the
/// sum of `terms`; its norm is the distance of -gradient to the subdifferential, and it is 0 exactly where
/// the parameters are stationary. Nothing for a parameter whose terms' subdifferentials do not add up by
/// elements and groups (a total variation beside kinks).
std::map<std::string, Value> least_subgradients(const std::map<std::string, Value>& gradients,
                                                const std::vector<PenaltyTerm>& terms);

}  // namespace lariat
