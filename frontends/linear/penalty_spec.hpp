#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/ir/value.hpp"

namespace lariat {

/// Columns that are penalised as a whole.
struct ColumnGroup {
  /// Neighbours among them, [first, end), ascending.
  std::vector<std::pair<int64_t, int64_t>> ranges;
  /// How many there are, with those that have no entries and are left out.
  int64_t size = 0;
};

/// One term of the penalty of a linear model: coefficient·Σ|w| (l1), coefficient·Σw² (l2),
/// coefficient·Σ_g √n_g·‖w_g‖₂ over groups of n_g weights (group; Yuan and Lin 2006), or the coefficient
/// times the sum of what an op that is a penalty gives, with attributes as text.
struct PenaltySpec {
  double coefficient = 1;
  std::string name;
  std::vector<std::string> attributes = {};

  /// Whether it can make weights exactly zero.
  bool makes_zeros() const;
  /// Whether it is the same in any order of the columns.
  bool ignores_order() const;
  /// Whether a weight that nothing else asks for is best at 0, and the others are then as without it.
  bool ignores_zeros() const;
  /// Of the parameter w. `factors`, one for each weight, multiply its terms; none: 1. Throws UserError for
  /// factors of another penalty than l1 and l2. Without `groups` each column is one.
  Value of(Value w, const std::optional<Value>& factors = {},
           const std::vector<ColumnGroup>& groups = {}) const;
};

/// "1.0*l1 + 0.5*l2", "0.1*ordered_l1:spread=2". Throws UserError naming what cannot be read.
std::vector<PenaltySpec> parse_penalty(const std::string& text);

}  // namespace lariat
