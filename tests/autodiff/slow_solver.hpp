#pragma once

#include <functional>
#include <vector>

namespace lariat::testing {

// A small problem Σ_i ℓ(z_i, y_i) + Σ_j l1_j|w_j| + l2_j w_j², z = X·w, and a solver that shares nothing with
// the library: barrier smoothing and Newton's method with dense elimination, in quadruple precision where the
// compiler has it.

#if defined(__SIZEOF_FLOAT128__)
using Wide = __float128;
#else
using Wide = long double;
#endif

struct WideLoss {
  const char* name;
  Wide (*value)(Wide z, Wide y);
  Wide (*slope)(Wide z, Wide y);
  Wide (*curvature)(Wide z, Wide y);
};
/// squared, logistic, squared hinge, Huber of delta 1, pseudo-Huber, Poisson.
const std::vector<WideLoss>& wide_losses();

struct SmallProblem {
  int64_t rows = 0, columns = 0;
  std::vector<double> x;  // by rows; a bias is a column of ones
  std::vector<double> y, l1, l2;
  const WideLoss* loss = nullptr;

  Wide objective(const std::vector<Wide>& w) const;
};

/// An objective that exceeds the least one by about 1e-13 of it at most, where the problem has a minimum.
Wide least_objective(const SmallProblem& problem);

}  // namespace lariat::testing
