#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "graph/ir/op_def.hpp"
#include "graph/ir/sample.hpp"

namespace lariat {

/// The outcome of checking one op or function.
struct GradcheckResult {
  std::string op;
  /// Derivatives compared, and how many should have been: fewer is a failure.
  int64_t checks = 0, expected_checks = 0;
  /// The largest |analytic - numeric| / ‖g‖∞.
  double worst_error = 0;
  bool passed = false;
  /// What failed first, or "".
  std::string detail = {};
  /// What is missing where nothing could be compared, or no derivative of an op that has a gradient; or "".
  std::string not_run = {};
};

/// Builds the outputs of a function from its inputs.
using GraphFunction = std::function<std::vector<Value>(Graph& graph, std::span<const Value> inputs)>;

/// Compares the gradient of Σ random·output with a 4-point central difference,
///   f'(x) ≈ (f(x-2h) - 8f(x-h) + 8f(x+h) - f(x+2h)) / 12h,
/// in double, for every element of every float input (a random 64 of larger ones), to within 1e-8·‖g‖∞; with
/// `second_order` also the gradient of Σ random·gradient.
GradcheckResult gradcheck(const GraphFunction& function, std::span<const SampleInput> inputs,
                          bool second_order = true, uint64_t seed = 0);

/// All samples of an op's record, its expected values, float against double, for element-wise ops random
/// shapes of rank 0 to 5 with broadcasting, and derivatives along a direction at sizes of some hundred.
GradcheckResult gradcheck(const OpDef& op, uint64_t seed = 0);

}  // namespace lariat
