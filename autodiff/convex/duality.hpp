#pragma once

#include <optional>

#include "autodiff/convex/linear_model.hpp"
#include "autodiff/convex/row_loss.hpp"

namespace lariat::convex {

/// g = Xᵀ·d for the coordinates `set`; the others are left alone.
void products(const ColumnMatrix& matrix, const double* d, std::span<const int64_t> set, std::span<double> g,
              const ParallelFor& parallel);

/// z = X·w + offset.
Tensor prediction_of(const LinearModel& model, std::span<const double> w, const RowLoss& loss);

/// The duality gap of Σ_i ℓ_i(z_i) + h(w) at w, for any convex ℓ and h: the dual point is the slope ℓ'(z),
/// scaled until h* is finite, and where coordinates are free of penalty moved along them until their gradient
/// is zero. The primal exceeds the optimum by at most the gap. `all` lists the coordinates, and `gradient` is
/// Xᵀℓ'(z). Nothing where no dual point was found, or, unless `even_far`, where the gap is certain to be
/// large. With u = ℓ'(z°) the gap is a sum of terms that are 0 or more, so it stays exact when it is small:
///   Σ_i ℓ_i(z_i) − ℓ_i(z°_i) − u_i(z_i − z°_i)  +  Σ_j h_j(w_j) + h_j*(−X_jᵀu) + w_j X_jᵀu.
std::optional<double> duality_gap(const LinearModel& model, RowLoss& loss, const SeparablePenalty& penalty,
                                  std::span<const int64_t> all, std::span<const double> w, const Tensor& z,
                                  const RowLoss::Point& at, std::span<const double> gradient, bool even_far,
                                  const ParallelFor& parallel);

}  // namespace lariat::convex
