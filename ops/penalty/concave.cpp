#include "ops/penalty/concave.hpp"

#include <fmt/format.h>

#include "ops/ops.hpp"

namespace lariat {

Value concave_residual(Value x, Value gradient, Value weight, double slope_at_zero, Value derivative) {
  return where(equal(x, 0), soft_threshold(gradient, slope_at_zero * weight), gradient + weight * derivative);
}

Penalty concave_penalty(std::string formula, std::string operator_name,
                        Value (*prox)(ProxPoint, Value, const Attributes&),
                        Value (*residual)(Value, Value, Value, const Attributes&)) {
  return {.formula = std::move(formula),
          .operator_name = std::move(operator_name),
          .combination = Combination::alone,
          .convex = false,
          .prox = prox,
          .residual = residual};
}

void check_above(const InferContext& c, std::string_view name, double limit) {
  const double value = c.attribute<double>(name);
  if (!(value > limit)) c.fail(fmt::format("'{}' is {}; it must be above {}", name, value, limit));
}

}  // namespace lariat
