#include "autodiff/training/optimizer_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

OptimizerKind optimizer_records::adam() {
  using namespace optimizer_parts;
  return OptimizerRecord<Adam>{"adam", "Kingma and Ba (2015)", adam_options<Adam>()}.kind();
}

Adam::operator Optimizer() const {
  using namespace optimizer_parts;
  const AdamConstants constants{"Adam", beta1, beta2, epsilon};
  check_adam(constants, learning_rate);
  return {"Adam", learning_rate, "Adam: learning_rate / (√v̂ + ε)",
          [constants](UpdateContext& c) { return adam_step(c, constants); }};
}

}  // namespace lariat
