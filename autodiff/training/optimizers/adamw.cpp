#include "autodiff/training/optimizer_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

OptimizerKind optimizer_records::adamw() {
  using namespace optimizer_parts;
  return OptimizerRecord<AdamW>{"adamw", "Adam with decoupled weight decay; Loshchilov and Hutter (2019)",
                                with_decay<AdamW>(adam_options<AdamW>())}
      .kind();
}

AdamW::operator Optimizer() const {
  using namespace optimizer_parts;
  const AdamConstants constants{"AdamW", beta1, beta2, epsilon};
  check_adam(constants, learning_rate);
  check_decay("AdamW", weight_decay);
  return {"AdamW", learning_rate, "AdamW: learning_rate / (√v̂ + ε)",
          [constants](UpdateContext& c) { return adam_step(c, constants); }, weight_decay};
}

}  // namespace lariat
