#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace gelu_detail {

Adjoints vjp(const GradContext& g) {
  const Value x = g.in(0);
  const Value distribution = 0.5 * (1 + erf(0.70710678118654752440 * x));
  const Value density = 0.39894228040143267794 * exp(-0.5 * square(x));
  return {g.adjoint(0) * (distribution + x * density)};
}

}  // namespace gelu_detail

// y = x·Φ(x) = x/2·erfc(−x/√2), Φ the standard normal distribution (Hendrycks and Gimpel 2016), not the tanh
// approximation:  dx = dy·(Φ(x) + x·φ(x)). For negative x the rounding of x/√2 grows by x², hence the wider
// type.
OpDef records::gelu() {
  using namespace gelu_detail;
  const auto function = [](auto x) {
    return scalar_apply(
        [](auto a) {
          using T = decltype(a);
          using W = Wider<T>;
          if (a == -std::numeric_limits<T>::infinity()) return T(-0.0);
          return static_cast<T>(a / W(2) * std::erfc(a * W(-0.70710678118654752440L)));
        },
        x);
  };
  OpDef def = elementwise_op(
      "gelu", "x times the standard normal distribution function of x; exact, not the tanh approximation.",
      {{"x", ""}}, float_blocks<1>(function));
  def.vjp = vjp;
  def.reference = [](std::span<const long double> x) {
    return x[0] == -std::numeric_limits<long double>::infinity()
               ? -0.0L
               : x[0] / 2 * std::erfc(x[0] * -0.70710678118654752440L);
  };
  def.samples = {
      {"values",
       {{{5}, {-3, -1, 0, 0.5, 2}}},
       {},
       {-0.00404969409489028358, -0.15865525393145705141, 0, 0.34573123063700655182, 1.9544997361036415856}},
      {"matrix", {{{2, 3}, {}, -3, 3}}}};
  return def;
}

Value gelu(Operand x) { return build("gelu", {x}); }

}  // namespace lariat
