#include "autodiff/training/optimizer_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

OptimizerKind optimizer_records::sgd() {
  using namespace optimizer_parts;
  return OptimizerRecord<Sgd>{"sgd", "gradient descent", rate_option<Sgd>()}.kind();
}

Sgd::operator Optimizer() const {
  using namespace optimizer_parts;
  check_rate("Sgd", learning_rate);
  return {"Sgd", learning_rate, "SGD: learning_rate", [](UpdateContext& c) -> ProxPoint {
            return {multiply_add(-c.learning_rate, c.gradient, c.start(c.learning_rate)), c.learning_rate};
          }};
}

}  // namespace lariat
