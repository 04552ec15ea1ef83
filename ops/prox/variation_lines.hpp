#pragma once

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

}  // namespace lariat
