#pragma once

#include <memory>
#include <optional>
#include <span>

#include "autodiff/convex/row_parts.hpp"
#include "graph/program/program.hpp"

namespace lariat::convex {

/// ℓ(z) = Σ_i ℓ_i(z_i), whatever the graph computes it by, with its derivatives from the graph.
class RowLoss {
 public:
  /// `loss` depends on its parameters through `prediction` alone, but for the nodes in `zeroed`; every
  /// element of the prediction reaches it by itself. Where the rows are cut into parts, it is that of this
  /// rank's rows, and a point's value that of all.
  RowLoss(Value loss, Value prediction, std::span<const Value> zeroed, Executor& executor,
          RowParts parts = {});

  struct Point {
    double value = 0;
    /// ℓ'_i and ℓ''_i of the rows here, of the prediction's shape.
    Tensor slope, curvature;
    /// Over the rows of all ranks: the largest ℓ''_i, √Σℓ'_i², and what a slope X̃_jᵀ·ℓ'(z) is off by at
    /// least, for z and ℓ' are rounded to doubles.
    double steepest = 0, slope_length = 0, rounding = 0;
    /// What a loss has left at its minimum, for z is rounded to doubles: Σ ½ℓ''_i·(4ε·z_i)².
    double unresolved = 0;
    /// ℓ_i, where there are several parts.
    Tensor losses = {};
  };
  /// Throws UserError where the loss is not convex at z, and JobError where it is not finite.
  Point at(const Tensor& z);
  /// Nothing where the loss is not finite.
  std::optional<Point> at_if_finite(const Tensor& z);
  /// Throws UserError where the loss is not convex at predictions of many sizes, all rows having the same.
  void check_convex();
  /// Moves each z_i until ℓ'_i(z_i) is slope_i but for rounding, by Newton's method with a bracket. At that
  /// point ℓ_i*(ℓ'_i) = z_i·ℓ'_i − ℓ_i(z_i) by Fenchel's equality: the conjugate of any convex loss, without
  /// its formula. `point` is that of the given z. Nothing where a slope is not reached.
  std::optional<Point> with_slopes(Tensor& z, Point point, std::span<const double> slope);
  /// A z of zeros.
  Tensor zeros() const { return Tensor(f64, extents_); }
  const RowParts& parts() const { return parts_; }

 private:
  /// The rows here, and their value.
  Point at_here(const Tensor& z);
  /// With what all ranks have; nothing where the value is not finite, or one of them has not `reached` what
  /// it was to.
  std::optional<Point> over_all(Point here, const Tensor& z, bool reached) const;

  std::unique_ptr<Program> program_;
  Executor& executor_;
  Extents extents_;
  RowParts parts_;
};

}  // namespace lariat::convex
