#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "ops/kernels/groups.hpp"

namespace lariat {

// What the prox ops of total variation share: v, the step, and the weight of each difference along one axis.

/// The result's type; `infer_rest` takes the weights' shape.
std::vector<TensorType> infer_variation_prox(const InferContext& c,
                                             std::vector<TensorType> (*infer_rest)(const InferContext&,
                                                                                   const Shape&));

class VariationLines {
 public:
  explicit VariationLines(const KernelContext& k);

  /// Puts a line's point, steps (as its metric) and weights in place; the last weight is 0.
  template <class T, class Line>
  void gather(const KernelContext& k, int64_t i, Line& line) const {
    elements.gather(i, k.in<T>(0), false, line.point.data());
    elements.gather(i, k.in<T>(1), k.inputs[1].rank() == 0, line.metric.data());
    differences.gather(i, k.in<T>(2), k.inputs[2].rank() == 0, line.weight.data());
    line.weight.back() = 0;
  }

  GroupedElements elements, differences;
};

/// Whether an element at v stays there: its step is 0, or so short that slopes of at most `slopes` move it by
/// less than a T resolves.
template <class T, class A>
bool stays(A v, A step, A slopes) {
  return step == 0 || step * slopes <= std::abs(v) * std::numeric_limits<T>::epsilon() / 4;
}

/// Cuts the weights of a line where they bind anyway: much larger ones would only round the rest away. The
/// flow through a difference is 0 beyond the line's ends, and changes by at most `flow` along all elements
/// but those that `hold`, which stay where they are whatever flows through them. Between two of these it is
/// at most the least weight there and that much.
template <class A, class Holds>
void cut_weights(std::span<A> weight, A flow, const Holds& holds) {
  const auto last = static_cast<int64_t>(weight.size()) - 1;
  for (int64_t begin = 0, end; begin < last; begin = end) {
    A least = weight[begin];
    for (end = begin + 1; end < last && !holds(end); ++end) least = std::min(least, weight[end]);
    // Twice: where a weight just binds, rounding would tell.
    const A most = 2 * flow + (holds(begin) && holds(end) ? least : 0);
    for (int64_t k = begin; k < end; ++k) weight[k] = std::min(weight[k], most);
  }
}

}  // namespace lariat
