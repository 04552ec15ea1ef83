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

#ifdef __FMA__
constexpr bool multiplies_exactly = true;
#else
constexpr bool multiplies_exactly = false;
#endif

// For x ≤ 0, x·Φ(x) = x/2·g(|x|)·e^(−x²/2) with g(u) = erfc(u/√2)·e^(u²/2), which is smooth: a polynomial in
// t = 1/(1 + u/4), which interpolates g/t at the Chebyshev points up to u = 14.6, where the result vanishes;
// its relative error is 1.3e-8. For x > 0 it is x less the same.
template <class Batch>
Batch gelu_of(Batch x) {
  // By powers of t − 5/8.
  constexpr float coefficients[] = {0.467306057711f, 0.840337215938f,   1.10124089713f,   1.00132576047f,
                                    0.5257784164f,   0.00661456416264f, -0.184560863906f, -0.0578363577203f,
                                    0.060352079562f, 0.0316199311131f};
  const Batch size = abs(x), u = select(size > Batch(20), Batch(20), size), half = Batch(0.5f) * u;
  const Batch fourth = Batch(0.25f) * u, divisor = Batch(1) + fourth, t = Batch(1) / divisor;
  // What rounding took from the divisor, and with it from t.
  const Batch missing = fourth - (divisor - Batch(1)),
              lost = t * multiply_add(-t, missing, multiply_add(-t, divisor, Batch(1)));
  const Batch place = (t - Batch(0.625f)) + lost;
  Batch sum(coefficients[9]);
  for (int n = 8; n >= 0; --n) sum = multiply_add(sum, place, Batch(coefficients[n]));
  // What rounding takes from the exponent; beyond 110 the result is 0.
  const Batch exponent = u * half, rest = multiply_add(u, half, -exponent);
  const ExpParts<Batch> e(-select(exponent > Batch(110), Batch(110), exponent));
  const Batch factor = half * multiply_add(t, sum, lost * sum), q = multiply_add(-rest, e.q, e.q - rest);
  // In two steps, for the result may be subnormal.
  const Batch first = nearbyint(Batch(0.5f) * e.k);
  const Batch below = multiply_add(factor, q, factor) * two_to(first) * two_to(e.k - first);
  return select(x > Batch(0), x - below, xsimd::copysign(below, x));
}

}  // namespace gelu_detail

// y = x·Φ(x) = x/2·erfc(−x/√2), Φ the standard normal distribution (Hendrycks and Gimpel 2016), not the tanh
// approximation:  dx = dy·(Φ(x) + x·φ(x)). For negative x the rounding of x/√2 grows by x², hence the wider
// type.
OpDef records::gelu() {
  using namespace gelu_detail;
  const auto function = [](auto x) {
    if constexpr (multiplies_exactly && std::is_same_v<typename decltype(x)::value_type, float>)
      return gelu_of(x);
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
