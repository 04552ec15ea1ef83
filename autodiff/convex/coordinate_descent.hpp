#pragma once

#include <span>
#include <vector>

#include "autodiff/convex/gram.hpp"
#include "autodiff/convex/separable_penalty.hpp"

namespace lariat::convex {

/// The quadratic model of ℓ(X·w) + h(w) around the present w, in the coordinates `set`:
/// Σ_j g_j d_j + ½ dᵀ(XᵀDX)d + h(w + d).
struct QuadraticModel {
  const ColumnMatrix& matrix;
  const SeparablePenalty& penalty;
  std::span<const int64_t> set;
  std::span<const double> gradient;   ///< g, of every coordinate
  std::span<const double> curvature;  ///< D, of every row
  std::span<const double> weights;    ///< w, of every coordinate
};

/// The weights w + d of `set`, which ascends, after cyclic coordinate descent until no coordinate's
/// optimality is off by more than `tolerance`, in units of the gradient, or after `most_sweeps`. Small sets
/// keep XᵀDX and take exact steps on the coordinates that are not zero once those have settled; large ones
/// keep X·d (Yuan, Ho and Lin 2012, newGLMNET, section 4). The result is the same for every number of
/// threads.
std::vector<double> descend(const QuadraticModel& model, double tolerance, int most_sweeps, GramCache& cache,
                            const ParallelFor& parallel);

}  // namespace lariat::convex
