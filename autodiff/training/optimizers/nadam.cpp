#include "autodiff/training/optimizer_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

OptimizerKind optimizer_records::nadam() {
  using namespace optimizer_parts;
  return OptimizerRecord<NAdam>{"nadam", "Adam that looks ahead; Dozat (2016)", adam_options<NAdam>()}.kind();
}

NAdam::operator Optimizer() const {
  using namespace optimizer_parts;
  const AdamConstants constants{"NAdam", beta1, beta2, epsilon};
  check_adam(constants, learning_rate);
  return {
      "NAdam", learning_rate, "NAdam: learning_rate / (√v̂ + ε)", [constants](UpdateContext& c) -> ProxPoint {
        const AdamMeans means = adam_means(c, constants);
        const Value step = c.learning_rate / means.root;
        // a·m + b·g; of a gradient that stays the same m is (1-β₁ᵗ)·g, so that the whole is (a·(1-β₁ᵗ) +
        // b)·g: the step of the metric.
        const Value present = bias_correction(constants.beta1, c.count);
        const Value a = constants.beta1 * reciprocal(bias_correction(constants.beta1, c.count + 1));
        const Value b = (1 - constants.beta1) * reciprocal(present);
        const Value direction = multiply_add(a, means.mean, b * c.gradient);
        return {multiply_add(-step, direction, c.start(c.learning_rate)), step * multiply_add(a, present, b)};
      }};
}

}  // namespace lariat
