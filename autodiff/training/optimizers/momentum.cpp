#include "autodiff/training/optimizer_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

OptimizerKind optimizer_records::momentum() {
  using namespace optimizer_parts;
  OptimizerRecord<Momentum> record{"momentum", "gradient descent with a velocity", rate_option<Momentum>()};
  record.options.push_back(
      {"momentum", &Momentum::momentum, 0, below_one, "share of the velocity that stays, β"});
  return record.kind();
}

Momentum::operator Optimizer() const {
  using namespace optimizer_parts;
  return momentum_like("Momentum", learning_rate, momentum, false);
}

}  // namespace lariat
