#pragma once

#include <span>
#include <vector>

#include "autodiff/convex/gram.hpp"
#include "autodiff/convex/row_kernel.hpp"
#include "autodiff/convex/separable_penalty.hpp"

namespace lariat::convex {

/// The quadratic model of ℓ(X·w) + h(w) around the present w, in the coordinates `set`:
/// Σ_j g_j d_j + ½ dᵀ(XᵀDX)d + h(w + d).
struct QuadraticModel {
  const ColumnMatrix& matrix;
  const SeparablePenalty& penalty;
  std::span<const int64_t> set;
  std::span<const double> gradient;   ///< g, of every coordinate
  std::span<const double> slopes;     ///< ℓ', of every row: g = Xᵀ·ℓ'
  std::span<const double> curvature;  ///< D, of every row
  std::span<const double> weights;    ///< w, of every coordinate
};

/// The largest set of which XᵀDX is kept; where ranks share the rows, no set may be larger.
constexpr size_t largest_gram = 3000;

/// What is worth keeping from one model to the next.
struct DescentCache {
  GramCache gram;
  RowKernel kernel;
};

/// The weights w + d of `set`, which ascends, after cyclic coordinate descent until no coordinate's
/// optimality is off by more than `tolerance`, in units of the gradient, or after `most_sweeps`. Small sets
/// keep XᵀDX, large ones X·d (Yuan, Ho and Lin 2012, newGLMNET, section 4); both take Newton's step on the
/// coordinates that are not zero once those have settled. The result is the same for every number of
/// threads.
std::vector<double> descend(const QuadraticModel& model, double tolerance, int most_sweeps,
                            DescentCache& cache, const ParallelFor& parallel);

}  // namespace lariat::convex
