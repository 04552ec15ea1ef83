#include "autodiff/training/optimizer_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace lamb_detail {
constexpr double most_norm = 10;
}

OptimizerKind optimizer_records::lamb() {
  using namespace lamb_detail;
  using namespace optimizer_parts;
  auto options = with_decay<Lamb>(adam_options<Lamb>());
  options.push_back({"least_norm", &Lamb::least_norm, 0, most_norm,
                     "a tensor's norm counts as this at least, so that all of it can become zero"});
  return OptimizerRecord<Lamb>{
      "lamb", "Adam with steps in proportion to each tensor's norm; You et al. (2020)", options}
      .kind();
}

Lamb::operator Optimizer() const {
  using namespace lamb_detail;
  using namespace optimizer_parts;
  const AdamConstants constants{"Lamb", beta1, beta2, epsilon};
  check_adam(constants, learning_rate);
  check_decay("Lamb", weight_decay);
  check("Lamb", "least_norm", least_norm, 0, most_norm);
  return {"Lamb",
          learning_rate,
          "LAMB: learning_rate · ‖w‖/‖r‖ / (√v̂ + ε)",
          [constants, least = least_norm](UpdateContext& c) -> ProxPoint {
            const AdamMeans means = adam_means(c, constants);
            const Value direction =
                means.mean * reciprocal(bias_correction(constants.beta1, c.count)) / means.root;
            const Value whole =
                c.weight_decay == 0 ? direction : multiply_add(c.weight_decay, c.parameter, direction);
            const Value size = norm2(c.parameter), length = norm2(whole);
            const Value known = greater(size * length, 0);
            const Value counted = minimum(maximum(size, least), most_norm);  // φ
            const Value trust = where(known, counted / where(known, length, 1), 1);
            const Value rate = c.learning_rate * trust;
            return {multiply_add(-rate, direction, c.start(rate)), rate / means.root};
          },
          weight_decay,
          {},
          nullptr,
          true};
}

}  // namespace lariat
