#pragma once

#include <optional>
#include <source_location>
#include <string>

#include "autodiff/convex/row_loss.hpp"

namespace lariat::convex {

/// A place where the loss of a row has no derivative.
struct RowKink {
  std::string op;              ///< the one whose kink it is
  std::source_location where;  ///< it was built at
  double prediction = 0;
};

/// Looks for a kink of ℓ_i(z_i) in any row: wherever an argument of an op that has kinks crosses one of them,
/// whether the slope of the loss jumps. Jumps that cancel, as in Huber's loss written with absolute values or
/// in a squared hinge, are none. The arguments are those of RowLoss.
std::optional<RowKink> find_row_kink(Value loss, Value prediction, std::span<const Value> zeroed,
                                     Executor& executor);

}  // namespace lariat::convex
