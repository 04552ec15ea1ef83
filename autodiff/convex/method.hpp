#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace lariat::convex {

/// What a method has reached so far.
struct Progress {
  int64_t iteration = 0;
  double objective = 0;
  /// (P − D)/|P| of the problem as written; infinite where there is no dual point yet, or none can be had.
  double relative_gap = std::numeric_limits<double>::infinity();
  /// The largest distance of −∂f/∂w_j to ∂h_j(w_j), in the coordinates that the method computes in.
  double stationarity = std::numeric_limits<double>::infinity();
  int64_t nonzeros = 0;
};

struct StoppingRule {
  /// Of the relative gap, or where there is none of each coordinate's stationarity relative to the largest
  /// |∂f/∂w_j| that was seen.
  double tolerance = 1e-8;
  int64_t most_iterations = 1000;
  std::function<void(const Progress&)> progress = {};
  /// The largest |∂f/∂v_j| of earlier runs, for gradient methods; empty: none.
  std::vector<double> slopes = {};
};

/// The objective at a point, and what it exceeds the optimum by at most; infinite where that is not known.
struct Bound {
  double objective = std::numeric_limits<double>::quiet_NaN();
  double gap = std::numeric_limits<double>::infinity();
  /// An objective of this much is 0 but for rounding.
  double unresolved = 0;
  double relative() const {
    if (!std::isfinite(gap)) return gap;
    return gap <= unresolved ? 0 : gap / std::max(std::abs(objective), 1e-300);
  }
};

enum class Ending {
  iterations,  ///< there were as many as allowed
  stagnation,  ///< no step lowers the objective any more, to rounding
  vanishing,   ///< the loss has fallen to 0 beside what it was: there is no minimum, or rows are fitted
               ///< exactly
};

/// Where a method ended.
struct Result {
  std::vector<double> weights;
  Progress reached;
  /// The largest |∂f/∂v_j| that were seen, by gradient methods, in the coordinates that they compute in: what
  /// each coordinate's stationarity is measured by. The same in those as written.
  std::vector<double> scales = {}, slopes = {};
  /// The latest step of a gradient method that was no failure.
  double step = 1;
  /// Judged on the problem as written; none where there is no dual point to judge by.
  Bound bound = {};
  bool converged = false;
  /// Why it ended where it is not converged.
  Ending ending = Ending::iterations;
};

}  // namespace lariat::convex
