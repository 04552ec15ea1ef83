#pragma once

#include "autodiff/convex/coordinate_descent.hpp"
#include "autodiff/convex/duality.hpp"
#include "autodiff/convex/method.hpp"

namespace lariat::convex {

/// Minimises Σ_i ℓ_i(z_i) + h(w), z = X·w + offset, in conditioned coordinates by proximal Newton steps on
/// working sets (Yuan, Ho and Lin 2012, newGLMNET; Massias, Gramfort and Salmon 2018, celer): the quadratic
/// model is minimised by coordinate descent over the coordinates that are not zero and those that violate
/// optimality most. Where rows have no curvature, or the model promises more than the loss keeps, every row
/// gets some more of it, until the step is one of majorisation.
class Newton {
 public:
  /// `penalty` is that of the conditioned coordinates.
  Newton(const ConditionedModel& conditioned, RowLoss& loss, SeparablePenalty& penalty,
         const ParallelFor& parallel);

  /// The weights of the result are as written. Goes on from the present weights, zeros at first. With a
  /// penalty factor other than the last one, only coordinates that the sequential strong rule keeps are
  /// looked at until they are optimal (Tibshirani et al. 2012), then all are checked.
  Result run(const StoppingRule& rule);
  /// The smallest penalty factor with which all coordinates whose penalty has a kink at zero are zero; 0
  /// where they have nothing to do with the loss, but for rounding. The weights are then those of that
  /// solution.
  double largest_factor();
  void set_weights(std::vector<double> weights);

 private:
  Result minimise(const StoppingRule& rule);
  /// From zero weights to about the solution, along falling penalties.
  void approach(const StoppingRule& rule);
  /// The smallest penalty factor for which the zeros stay, as far as the present slopes tell.
  double factor_of_zeros() const;
  void screen();
  void measure(std::span<const int64_t> among);
  double estimated_gap() const;
  void look_at_all();
  std::vector<int64_t> working_set() const;
  void keep_most_violating(std::vector<int64_t>& set, size_t count) const;
  /// One step on `set`; false where none lowers the objective.
  bool step(const std::vector<int64_t>& set, double tolerance);
  /// Tries the step, and shorter ones; the length that lowered the objective enough, or 0.
  double search(const std::vector<int64_t>& set, std::span<const double> goal, double expected);
  /// Takes the step, too small for the objective to tell, if slopes are nearer to where they should be then.
  bool polish(const std::vector<int64_t>& set, std::span<const double> goal);
  /// Curvature of the order that a parabola of such slopes would have.
  double natural_curvature() const;
  bool has_vanished() const;
  /// Where a loss is 0 from a margin on, as a squared hinge, it is so a little beyond its edge.
  void go_beyond();

  const ConditionedModel& conditioned_;
  const LinearModel& model_;
  RowLoss& loss_;
  SeparablePenalty& penalty_;
  const ParallelFor& parallel_;
  std::vector<double> weights_, gradient_, violation_;
  std::vector<int64_t> all_, candidates_;
  double gradient_factor_ = 0;  // the penalty factor for which gradient_ belongs to a solution; 0: none
  double stationarity_ = 0;
  double damping_ = 0;        // curvature that every row gets beside its own
  double value_at_zero_ = 0;  // of the loss
  DescentCache cache_;
  Tensor z_;
  RowLoss::Point at_;
};

}  // namespace lariat::convex
