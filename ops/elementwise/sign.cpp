#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = −1, 0 or 1; x − x is +0 for both zeros and NaN for NaN.
OpDef records::sign() {
  const auto function = [](auto x) {
    using T = decltype(x);
    return select(x > T(0), T(1), select(x < T(0), T(-1), x - x));
  };
  OpDef def = elementwise_op("sign", "-1, 0 or 1, as x is below, at or above 0; NaN for NaN.", {{"x", ""}},
                             number_blocks<1>(function));
  def.traits.stops_gradient = true;
  def.vjp = [](const GradContext&) -> Adjoints { return {Value()}; };
  def.kinks = "The derivative is 0 everywhere, at 0 as well.";
  def.reference = [](std::span<const long double> x) {
    return std::isnan(x[0]) ? x[0] : static_cast<long double>((x[0] > 0) - (x[0] < 0));
  };
  def.samples = {{"values", {{{5}, {-3, -0.0, 0, 1e-30, 7}}}, {}, {-1, 0, 0, 1, 1}}, {"scalar", {{{}}}}};
  return def;
}

Value sign(Operand x) { return build("sign", {x}); }

}  // namespace lariat
