#include "autodiff/training/optimizer_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

OptimizerKind optimizer_records::amsgrad() {
  using namespace optimizer_parts;
  return OptimizerRecord<AmsGrad>{"amsgrad",
                                  "Adam with the largest mean square so far; Reddi, Kale and Kumar (2018)",
                                  adam_options<AmsGrad>()}
      .kind();
}

AmsGrad::operator Optimizer() const {
  using namespace optimizer_parts;
  const AdamConstants constants{"AmsGrad", beta1, beta2, epsilon};
  check_adam(constants, learning_rate);
  return {"AmsGrad", learning_rate, "AMSGrad: learning_rate / (√v̂ + ε)",
          [constants](UpdateContext& c) { return adam_step(c, constants, true); }};
}

}  // namespace lariat
