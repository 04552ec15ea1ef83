#pragma once

#include "frontends/sequential/fit.hpp"

namespace lariat {

/// What a fit of `steps` steps does with its penalties by step.
struct PenaltySchedule {
  /// From where on zeros stay zero.
  std::optional<int64_t> settle_from;
  /// The factor on every penalty; empty: always 1.
  Schedule strength;
};
/// Throws UserError for an option out of its range.
PenaltySchedule penalty_schedule(const FitOptions& options, int64_t steps);

}  // namespace lariat
