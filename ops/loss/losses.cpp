#include "ops/ops.hpp"

namespace lariat {

Value mean_squared_error(Operand prediction, Operand target) {
  const auto where = prediction.where;
  return mean(Operand(square(Operand(prediction - target, where)), where));
}

// With m = min(|e|, δ):  m·(|e| − m/2) = e²/2 where |e| ≤ δ, else δ·(|e| − δ/2).
Value huber(Operand prediction, Operand target, double delta) {
  const auto where = prediction.where;
  const Operand distance(abs(Operand(prediction - target, where)), where);
  const Operand small(minimum(distance, Operand(delta, where)), where);
  const Operand rest(distance - Operand(0.5 * small, where), where);
  return mean(Operand(small * rest, where));
}

}  // namespace lariat
