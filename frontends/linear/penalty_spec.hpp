#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/ir/value.hpp"

namespace lariat {

/// One term of the penalty of a linear model: coefficient·Σ|w| (l1), coefficient·Σw² (l2), or the coefficient
/// times the sum of what an op that is a penalty gives, with attributes as text.
struct PenaltySpec {
  double coefficient = 1;
  std::string name;
  std::vector<std::string> attributes = {};

  /// Whether it can make weights exactly zero.
  bool makes_zeros() const;
  /// Of the parameter w. `factors`, one for each weight, multiply its terms; none: 1. Throws UserError for
  /// factors of another penalty than l1 and l2.
  Value of(Value w, const std::optional<Value>& factors = {}) const;
};

/// "1.0*l1 + 0.5*l2", "0.1*ordered_l1:spread=2". Throws UserError naming what cannot be read.
std::vector<PenaltySpec> parse_penalty(const std::string& text);

}  // namespace lariat
