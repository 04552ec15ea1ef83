#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace power_detail {

// dx = dy·p·x^(p−1), 0 for p = 0;  dp = dy·x^p·ln x, 0 for x = 0 and p ≥ 0.
Adjoints vjp(const GradContext& g) {
  const Value x = g.in(0), p = g.in(1), d = g.adjoint(0);
  Value dx, dp;
  if (g.needs(0)) dx = where(equal(p, 0), 0, d * p * power(x, p - 1));
  if (g.needs(1)) dp = where(equal(x, 0) * greater_equal(p, 0), 0, d * g.out(0) * log(x));
  return {dx, dp};
}

}  // namespace power_detail

// y = x^p. Unlike C's pow, which says 1 for NaN^0 and 1^NaN, NaN in either argument comes through.
OpDef records::power() {
  using namespace power_detail;
  const auto function = [](auto x, auto p) {
    return scalar_apply(
        [](auto a, auto b) { return std::isnan(a) || std::isnan(b) ? a + b : std::pow(a, b); }, x, p);
  };
  OpDef def =
      elementwise_op("power", "x to the power p; NaN for negative x unless p is a whole number.",
                     {{"x", "the base; at least 0 unless p is a whole number"}, {"p", "the exponent"}},
                     float_blocks<2>(function));
  def.vjp = vjp;
  def.kinks =
      "At x = 0 the derivative by p is 0 where p >= 0, and the derivative by x is infinite where p < 1, "
      "except 0 where p = 0. For x < 0 the derivative by p is NaN.";
  def.reference = [](std::span<const long double> x) {
    return std::isnan(x[0]) || std::isnan(x[1]) ? x[0] + x[1] : std::pow(x[0], x[1]);
  };
  def.samples = {
      {"values", {{{3}, {2, 10, 0.5}}, {{3}, {0.5, -2, 3}}}, {}, {1.4142135623730950488, 0.01, 0.125}},
      {"broadcast rows", {{{2, 3}, {}, 0.5, 2}, {{3}, {}, -2, 2}}},
      {"scalar base", {{{}, {2}}, {{2, 3}, {}, -2, 2}}}};
  return def;
}

Value power(Operand x, Operand exponent) { return build("power", {x, exponent}); }

}  // namespace lariat
