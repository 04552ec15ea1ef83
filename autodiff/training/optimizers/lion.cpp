#include "autodiff/training/optimizer_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

OptimizerKind optimizer_records::lion() {
  using namespace optimizer_parts;
  OptimizerRecord<Lion> record{"lion", "steps of one size by the sign; without penalties; Chen et al. (2023)",
                               rate_option<Lion>()};
  record.options.push_back({"beta1", &Lion::beta1, 0, below_one, "share of the mean gradient in a step"});
  record.options.push_back({"beta2", &Lion::beta2, 0, below_one, "decay of the mean gradient"});
  record.options = with_decay<Lion>(record.options);
  return record.kind();
}

Lion::operator Optimizer() const {
  using namespace optimizer_parts;
  check_rate("Lion", learning_rate);
  check("Lion", "beta1", beta1, 0, 1);
  check("Lion", "beta2", beta2, 0, 1);
  check_decay("Lion", weight_decay);
  return {
      "Lion",
      learning_rate,
      "Lion: learning_rate",
      [beta1 = beta1, beta2 = beta2](UpdateContext& c) -> ProxPoint {
        const Value mean = c.slot("mean");
        c.set_slot("mean", moving_average(beta2, mean, c.gradient));
        const Value direction = sign(moving_average(beta1, mean, c.gradient));
        return {multiply_add(-c.learning_rate, direction, c.start(c.learning_rate)), c.learning_rate};
      },
      weight_decay,
      "its steps are of one size whatever the gradient, so that no metric weighs it against a penalty; take "
      "adam or another, or give weight_decay in place of the penalty"};
}

}  // namespace lariat
