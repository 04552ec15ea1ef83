#pragma once

#include <optional>

#include "autodiff/convex/conditioning.hpp"
#include "autodiff/convex/method.hpp"
#include "autodiff/convex/row_loss.hpp"

namespace lariat::convex {

/// g = Xᵀ·d for the coordinates `set`; the others are left alone.
void products(const ColumnMatrix& matrix, const double* d, std::span<const int64_t> set, std::span<double> g,
              const ParallelFor& parallel);

/// z = X·w + offset.
Tensor prediction_of(const LinearModel& model, std::span<const double> w, const RowLoss& loss);

/// What a method has of X̃ᵀℓ'(z), and how much rounding is in it.
struct Glance {
  std::span<const double> gradient;
  double rounding = 0;
};

/// The duality gap of Σ_i ℓ_i(z_i) + h(w) at weights as written, for any convex ℓ and h. It rests on the
/// matrix as written, by sums of 106 bits: nothing that the method computed enters it. `penalty` is h in the
/// conditioned coordinates.
///
/// The dual point is the slope u = ℓ'(z°): that at z, moved along the columns whose h_j* is narrower than
/// rounding or steep (coordinates without penalty among them) until their slope is where it should be, and
/// scaled until every other h_j* is finite. With such a u the gap is a sum of terms that are 0 or more, so it
/// stays exact when it is small:
///   Σ_i ℓ_i(z_i) − ℓ_i(z°_i) − u_i(z_i − z°_i)  +  Σ_j h_j(v_j) + h_j*(−g_j) + v_j g_j,   g = X̃ᵀu.
/// What rounding leaves of the narrow columns' slopes, δ, is no more than a tilt of the problem by δᵀv; it is
/// counted by δᵀH⁻¹δ, twice the decrement of Newton's method.
///
/// Nothing where a glance tells that the gap is large, unless `even_far`.
class DualityGap {
 public:
  DualityGap(const ConditionedModel& conditioned, RowLoss& loss, const ParallelFor& parallel)
      : conditioned_(conditioned), loss_(loss), parallel_(parallel) {}

  std::optional<Bound> at(const SeparablePenalty& penalty, std::span<const double> w, double tolerance,
                          const Glance& glance, bool even_far) const;

 private:
  const ConditionedModel& conditioned_;
  RowLoss& loss_;
  const ParallelFor& parallel_;
};

}  // namespace lariat::convex
