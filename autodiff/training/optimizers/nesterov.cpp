#include "autodiff/training/optimizer_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

OptimizerKind optimizer_records::nesterov() {
  using namespace optimizer_parts;
  OptimizerRecord<Nesterov> record{"nesterov", "momentum that looks ahead; Sutskever et al. (2013)",
                                   rate_option<Nesterov>()};
  record.options.push_back(
      {"momentum", &Nesterov::momentum, 0, below_one, "share of the velocity that stays, β"});
  return record.kind();
}

Nesterov::operator Optimizer() const {
  using namespace optimizer_parts;
  return momentum_like("Nesterov", learning_rate, momentum, true);
}

}  // namespace lariat
