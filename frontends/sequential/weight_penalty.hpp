#pragma once

#include <string>
#include <string_view>

#include "graph/value.hpp"

namespace lariat {

/// λ₁ Σ|w| + λ₂ Σw², added to the loss as it stands here; the trainer's rewrite turns it into a proximal
/// update.
struct WeightPenalty {
  double l1 = 0, l2 = 0;

  explicit operator bool() const { return l1 != 0 || l2 != 0; }
  friend bool operator==(const WeightPenalty&, const WeightPenalty&) = default;
};

inline WeightPenalty l1(double lambda) { return {lambda, 0}; }
inline WeightPenalty l2(double lambda) { return {0, lambda}; }
/// Zou and Hastie (2005).
inline WeightPenalty elastic_net(double l1, double l2) { return {l1, l2}; }

/// The penalty of `w` as a scalar value. The penalty must not be empty.
Value penalty_of(Value w, const WeightPenalty& penalty);

/// "none", "l1=0.0001" or "l1=0.0001,l2=1e-05", and back. Throws UserError "name = text: must be …".
std::string to_text(const WeightPenalty& penalty);
WeightPenalty parse_weight_penalty(std::string_view name, std::string_view text);
inline constexpr const char* weight_penalty_range =
    "none, or l1 and l2 with numbers from 0, such as l1=1e-4,l2=1e-5";

}  // namespace lariat
