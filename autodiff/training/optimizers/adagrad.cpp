#include "autodiff/training/optimizer_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

OptimizerKind optimizer_records::adagrad() {
  using namespace optimizer_parts;
  OptimizerRecord<AdaGrad> record{"adagrad", "Duchi, Hazan and Singer (2011)", rate_option<AdaGrad>()};
  record.options.push_back(
      {"epsilon", &AdaGrad::epsilon, 0, most, "added to the root of the sum of squared gradients"});
  return record.kind();
}

AdaGrad::operator Optimizer() const {
  using namespace optimizer_parts;
  check_rate("AdaGrad", learning_rate);
  check_epsilon("AdaGrad", epsilon);
  return {"AdaGrad", learning_rate, "AdaGrad: learning_rate / (√s + ε)",
          [epsilon = epsilon](UpdateContext& c) -> ProxPoint {
            const Value square_sum = c.metric_slot("square_sum") + c.squared_gradient();
            c.set_slot("square_sum", square_sum);
            const Value step = c.learning_rate / (sqrt(square_sum) + epsilon_for(c, "AdaGrad", epsilon));
            return {multiply_add(-step, c.gradient, c.start(c.learning_rate)), step};
          }};
}

}  // namespace lariat
