#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace lariat::convex {

/// What a method has reached so far.
struct Progress {
  int64_t iteration = 0;
  double objective = 0;
  /// (P − D)/|P|; infinite where there is no dual point yet, or none can be had.
  double relative_gap = std::numeric_limits<double>::infinity();
  /// The largest distance of −∂f/∂w_j to ∂h_j(w_j).
  double stationarity = std::numeric_limits<double>::infinity();
  int64_t nonzeros = 0;
};

struct StoppingRule {
  /// Of the relative gap, or where there is none of the stationarity relative to the largest |∂f/∂w_j| at the
  /// start.
  double tolerance = 1e-8;
  int64_t most_iterations = 1000;
  std::function<void(const Progress&)> progress = {};
};

/// Where a method ended.
struct Result {
  std::vector<double> weights;
  Progress reached;
  double gap = std::numeric_limits<double>::infinity();
  double prox_residual = 0;
  bool converged = false;
};

}  // namespace lariat::convex
