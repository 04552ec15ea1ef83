#include "autodiff/training/optimizer_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

OptimizerKind optimizer_records::lamb() {
  using namespace optimizer_parts;
  return OptimizerRecord<Lamb>{"lamb",
                               "Adam with steps in proportion to each tensor's norm; You et al. (2020)",
                               with_decay<Lamb>(adam_options<Lamb>())}
      .kind();
}

Lamb::operator Optimizer() const {
  using namespace optimizer_parts;
  const AdamConstants constants{"Lamb", beta1, beta2, epsilon};
  check_adam(constants, learning_rate);
  check_decay("Lamb", weight_decay);
  return {"Lamb",
          learning_rate,
          "LAMB: learning_rate · ‖w‖/‖r‖ / (√v̂ + ε)",
          [constants](UpdateContext& c) -> ProxPoint {
            const AdamMeans means = adam_means(c, constants);
            const Value direction =
                means.mean * reciprocal(bias_correction(constants.beta1, c.count)) / means.root;
            const Value whole =
                c.weight_decay == 0 ? direction : multiply_add(c.weight_decay, c.parameter, direction);
            const Value size = norm2(c.parameter), length = norm2(whole);
            const Value known = greater(size * length, 0);
            const Value trust = where(known, minimum(size, 10) / where(known, length, 1), 1);
            const Value rate = c.learning_rate * trust;
            return {multiply_add(-rate, direction, c.start(rate)), rate / means.root};
          },
          weight_decay,
          {},
          nullptr,
          true};
}

}  // namespace lariat
