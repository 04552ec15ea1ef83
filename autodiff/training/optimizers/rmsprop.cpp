#include "autodiff/training/optimizer_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

OptimizerKind optimizer_records::rmsprop() {
  using namespace optimizer_parts;
  OptimizerRecord<RmsProp> record{"rmsprop", "Tieleman and Hinton (2012)", rate_option<RmsProp>()};
  record.options.push_back({"decay", &RmsProp::decay, 0, below_one, "decay of the mean squared gradient"});
  record.options.push_back({"epsilon", &RmsProp::epsilon, 0, most, "added to its root"});
  return record.kind();
}

RmsProp::operator Optimizer() const {
  using namespace optimizer_parts;
  check_rate("RmsProp", learning_rate);
  check("RmsProp", "decay", decay, 0, 1);
  check_epsilon("RmsProp", epsilon);
  return {"RmsProp", learning_rate, "RMSProp: learning_rate / (√s + ε)",
          [decay = decay, epsilon = epsilon](UpdateContext& c) -> ProxPoint {
            const Value square_mean =
                moving_average(decay, c.metric_slot("square_mean"), c.squared_gradient());
            c.set_slot("square_mean", square_mean);
            const Value step = c.learning_rate / (sqrt(square_mean) + epsilon_for(c, "RmsProp", epsilon));
            return {multiply_add(-step, c.gradient, c.start(c.learning_rate)), step};
          }};
}

}  // namespace lariat
