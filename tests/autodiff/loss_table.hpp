// Losses and what the rewrite must make of them: one row each, with the lines that the report must give for
// what was rewritten, or the codes of what was refused, in any order.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autodiff/penalty/rewrite_report.hpp"
#include "graph/ir/graph.hpp"
#include "ops/ops.hpp"

namespace lariat::testing {

/// first, first + 1, ...
Tensor ramp(DType dtype, Extents extents, double first = 1);
/// A constant matrix from its rows.
Value matrix(Graph& g, DType dtype, std::vector<std::vector<double>> rows);
Value diagonal(Graph& g, DType dtype, std::vector<double> entries);

/// What the losses are made of. The data loss depends on w and v; c is positive, signs is not.
struct LossSetting {
  explicit LossSetting(DType dtype = f32);
  DType dtype;
  Graph g;
  Value w, v, t, column, row, scale, x, lambda, weights, c, signs, ones, rows, frozen, data;
};

struct LossRow {
  std::string loss;
  std::function<Value(LossSetting&)> build;
  std::vector<std::string> expected;
};

#define LOSS(expression, ...)                                                                                    \
  lariat::testing::LossRow {                                                                                     \
#expression, [](lariat::testing::LossSetting & s) -> lariat::Value {                                           \
      [[maybe_unused]] auto& [dtype, g, w, v, t, column, row, scale, x, lambda, weights, c, signs, ones, rows, \
                              frozen, data] = s;                                                               \
      return expression;                                                                                         \
    },                                                                                                           \
        std::vector<std::string> { \
      __VA_ARGS__                                                                                                \
    }                                                                                                            \
  }

/// Lines that many rows expect.
inline const std::string lasso = "w: 0.01 * |w| -> soft threshold",
                         weighted = "w: weighted |w| -> soft threshold",
                         positive = "w: 0.01 * max(w, 0) -> one-sided soft threshold",
                         group = "w: 0.01 * ‖w‖₂ -> group soft threshold",
                         both = "w, v: 0.01 * ‖w, v‖₂ -> group soft threshold",
                         largest = "w: 0.01 * ‖w‖∞ -> projection on the L1 ball (Moreau)",
                         count = "w: 0.01 * [w ≠ 0] -> hard threshold",
                         variation = "w: 0.01 * |Δw| -> total variation denoising";

/// Checks the row's report, and that what the rewrite reads in place of the loss has its values and
/// gradients, in f32 and f64, at random points. Returns whether the row expects a refusal.
bool check_loss(const LossRow& row);

/// The largest difference, relative to the larger of the two sizes and 1, of the losses and their gradients
/// by all parameters, between the loss and its canonical form at a random point.
double canonical_difference(Value loss, uint64_t seed);

}  // namespace lariat::testing
