#pragma once

#include "autodiff/penalty/penalty.hpp"

namespace lariat {

/// The formula with `name` for the x that stands alone, and numbers for attributes.
std::string with_names(const Penalty& penalty, const std::string& name, const Attributes& attributes);

/// Gives the term its text and, where it is one number, its coefficient: "0.01 * |w - 1|", all factors and
/// shifts included.
void describe(PenaltyTerm& term);

}  // namespace lariat
