#pragma once

#include "autodiff/convex/duality.hpp"
#include "autodiff/convex/gram.hpp"
#include "autodiff/convex/method.hpp"

namespace lariat::convex {

/// Minimises Σ_i ℓ_i(z_i) + h(w), z = X·w + offset, by proximal Newton steps on working sets (Yuan, Ho and
/// Lin 2012, newGLMNET; Massias, Gramfort and Salmon 2018, celer): the quadratic model is minimised by
/// coordinate descent over the coordinates that are not zero and those that violate optimality most.
class Newton {
 public:
  Newton(const LinearModel& model, RowLoss& loss, SeparablePenalty& penalty, const ParallelFor& parallel);

  /// Goes on from the present weights, zeros at first. With a penalty factor other than the last one, only
  /// coordinates that the sequential strong rule keeps are looked at until they are optimal (Tibshirani et
  /// al. 2012), then all are checked.
  Result run(const StoppingRule& rule);
  /// The smallest penalty factor with which all coordinates whose penalty has a kink at zero are zero. The
  /// weights are then those of that solution.
  double largest_factor();
  void set_weights(std::vector<double> weights);

 private:
  void screen();
  void measure(std::span<const int64_t> among);
  double estimated_gap() const;
  void look_at_all();
  std::vector<int64_t> working_set() const;
  /// One step on `set`; false where it did not lower the objective.
  bool step(const std::vector<int64_t>& set, double tolerance);

  const LinearModel& model_;
  RowLoss& loss_;
  SeparablePenalty& penalty_;
  const ParallelFor& parallel_;
  std::vector<double> weights_, gradient_, violation_;
  std::vector<int64_t> all_, candidates_;
  double gradient_factor_ = 0;  // the penalty factor for which gradient_ belongs to a solution; 0: none
  double stationarity_ = 0;
  GramCache cache_;
  Tensor z_;
  RowLoss::Point at_;
};

}  // namespace lariat::convex
