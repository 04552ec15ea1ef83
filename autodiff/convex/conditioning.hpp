#pragma once

#include "autodiff/convex/linear_model.hpp"
#include "autodiff/convex/twofold.hpp"

namespace lariat::convex {

/// A linear model in coordinates v that are good to compute with, beside the model as written:
///   w_j = unit_j·v_j,   X̃_j = unit_j·(X_j − shift_j·X_p),
/// where the unit is the power of two with which the column's length lies in [1, 2). The column X_p of a
/// coordinate without penalty takes up the shifts: a constant one (a bias), or else the one nearest to it, if
/// it stands at less than 45°. A column with entries in more than half of the rows is shifted so that its
/// mean becomes 0. One with k entries in n rows stands at an angle of 45° or more to a constant column where
/// k <= n/2, for (Σx)² <= k·Σx², and stays sparse.
class ConditionedModel {
 public:
  ConditionedModel(const LinearModel& written, const SeparablePenalty& penalty);

  const LinearModel& written() const { return written_; }
  /// The model in v: z = X̃·v + offset is the same z.
  const LinearModel& model() const { return model_; }
  const std::vector<double>& units() const { return units_; }

  std::vector<double> as_written(std::span<const double> v) const;
  std::vector<double> conditioned(std::span<const double> w) const;

  /// z = X·w + offset as written, rounded once.
  void predict(std::span<const double> w, double* z) const;
  /// X_pᵀ·u; 0 where no column takes up shifts.
  Twofold pivot_slope(const double* u) const;
  /// X̃_jᵀ·u, rounded once; `pivot` is X_pᵀ·u.
  double slope(int64_t j, const double* u, const Twofold& pivot) const;
  /// X_jᵀ·u, rounded once.
  double written_slope(int64_t j, const double* u) const;
  /// The numbers of columns whose means, which nothing takes up, are more than 10⁵ times their standard
  /// deviations: they differ from multiples of each other in their last digits alone.
  std::vector<int64_t> far_from_centred() const;

 private:
  void find_pivot(const SeparablePenalty& penalty);
  double pivot_shift(std::span<const double> w, double sign) const;

  const LinearModel& written_;
  LinearModel model_;
  std::vector<double> units_, shifts_;
  int64_t pivot_ = -1;
};

}  // namespace lariat::convex
