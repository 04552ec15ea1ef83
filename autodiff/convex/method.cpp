#include "autodiff/convex/method.hpp"

#include <algorithm>
#include <cmath>

namespace lariat::convex {

double Bound::relative() const {
  return std::isfinite(gap) ? gap / std::max(std::abs(objective), 1e-300) : gap;
}

}  // namespace lariat::convex
