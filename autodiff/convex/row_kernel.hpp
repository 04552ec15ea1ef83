#pragma once

#include <span>
#include <vector>

#include "autodiff/convex/column_matrix.hpp"
#include "autodiff/convex/separable_penalty.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat::convex {

/// A quadratic model of ℓ(X·v) + h(v) in some columns: slopes u and curvatures D of the rows at weights v,
/// and of the columns h' and h'' there.
struct RowSystem {
  const ColumnMatrix& matrix;
  std::span<const int64_t> columns;
  std::span<const double> first, second, weights;
  std::span<const double> curvature, slopes;
};

/// The minimum of such a model by the matrix K = X_P·Q⁻¹·X_Pᵀ of the rows, Q = h'', which is the smaller one
/// where there are more columns than rows. With c = h' − Q·v, what the slopes u⁺ at the minimum satisfy is
///   (D⁻¹ + K)·u⁺ − X_F·δ_F = D⁻¹·u − X_P·(v_P + Q⁻¹c_P),   X_Fᵀ·u⁺ = −c_F,   v⁺_P = −Q⁻¹(X_Pᵀu⁺ + c_P),
/// F being the few columns where Q is 0, and δ_F what these move by. Written for u⁺ and not for a step,
/// nothing cancels where the penalty is weak. The matrix K stays from one D to the next.
class RowKernel {
 public:
  /// Whether these columns are for it: all but a few have curvature of their own, and all rows are here.
  static bool is_cheaper(const ColumnMatrix& matrix, std::span<const int64_t> columns,
                         const SeparablePenalty& penalty);

  /// The weights there. Empty where the columns are not for it, or rounding keeps the matrix from being
  /// positive definite.
  std::vector<double> solve(const RowSystem& system, const ParallelFor& parallel);

 private:
  void update(const ColumnMatrix& matrix, std::span<const int64_t> columns, std::span<const double> q,
              const ParallelFor& parallel);

  std::vector<int64_t> columns_;
  std::vector<double> q_, kernel_;  // X_P Q⁻¹ X_Pᵀ, row-major
};

}  // namespace lariat::convex
