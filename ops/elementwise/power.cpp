#include <array>
#include <bit>
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

// log₂ of normal numbers above 0: with m in [√½, √2) and s = (m − 1)/(m + 1), that of 2ᵉ·m is
// e + 2/ln 2·Σₙ s²ⁿ⁺¹/(2n + 1), whose relative error after six terms is 5e-11.
template <class Doubles>
Doubles log2_of(Doubles x) {
  using Words = xsimd::batch<uint64_t>;
  constexpr auto coefficients = [] {
    std::array<double, 6> result{};
    for (size_t n = 0; n < result.size(); ++n) result[n] = 2.88539008177792681472 / (2.0 * n + 1);
    return result;
  }();
  constexpr uint64_t half_root = std::bit_cast<uint64_t>(0.70710678118654752440);
  constexpr double shift = 0x1.8p52;
  const Words bits = std::bit_cast<Words>(x);
  // The exponent, moved by 1024 so that it is no negative number, and then as the last bits of a double.
  const Words exponent = (bits + Words((uint64_t{1024} << 52) - half_root)) >> 52;
  const Doubles m = std::bit_cast<Doubles>(bits - ((exponent - Words(1024)) << 52)),
                e = std::bit_cast<Doubles>(exponent + Words(std::bit_cast<uint64_t>(shift))) -
                    Doubles(shift + 1024);
  const Doubles s = (m - Doubles(1)) / (m + Doubles(1)), square = s * s;
  Doubles sum(coefficients.back());
  for (int n = static_cast<int>(coefficients.size()) - 2; n >= 0; --n)
    sum = multiply_add(sum, square, Doubles(coefficients[static_cast<size_t>(n)]));
  return multiply_add(sum, s, e);
}

// 2ᵗ for |t| ≤ 200 by the Taylor series of e^(t·ln 2) at the nearest whole number; relative error 5e-9.
template <class Doubles>
Doubles exp2_of(Doubles t) {
  constexpr auto coefficients = [] {
    std::array<double, 8> result{1};
    for (size_t n = 1; n < result.size(); ++n)
      result[n] = result[n - 1] * 0.69314718055994530942 / static_cast<double>(n);
    return result;
  }();
  const Doubles k = nearbyint(t), r = t - k;
  Doubles sum(coefficients.back());
  for (int n = static_cast<int>(coefficients.size()) - 2; n >= 0; --n)
    sum = multiply_add(sum, r, Doubles(coefficients[static_cast<size_t>(n)]));
  return sum * two_to(k);
}

// x^p of floats: |x|^p = 2^(p·log₂|x|) as doubles, of which a float keeps half the digits.
template <class Batch>
Batch power_of(Batch x, Batch p) {
  const Batch size = abs(x), half = Batch(0.5f) * p, infinity(std::numeric_limits<float>::infinity());
  Batch y = double_apply(
      [](auto base, auto exponent) {
        using Doubles = decltype(base);
        // Beyond these, a float is 0 or infinite.
        return exp2_of(min(max(exponent * log2_of(base), Doubles(-200)), Doubles(200)));
      },
      size, p);
  y = select(size == Batch(0), select(p > Batch(0), Batch(0), infinity), y);
  y = select(size == infinity, select(p > Batch(0), infinity, Batch(0)), y);
  y = select(p == Batch(0) || size == Batch(1), Batch(1), y);
  const auto is_whole = nearbyint(p) == p;
  y = select(is_whole && nearbyint(half) != half, xsimd::copysign(y, x), y);
  const Batch nan(std::numeric_limits<float>::quiet_NaN());
  y = select(is_whole, y, select(x < Batch(0) && x != -infinity, nan, y));
  // Where one is NaN, so is the sum.
  return select(x == x && p == p, y, x + p);
}

}  // namespace power_detail

// y = x^p. Unlike C's pow, which says 1 for NaN^0 and 1^NaN, NaN in either argument comes through.
OpDef records::power() {
  using namespace power_detail;
  const auto function = [](auto x, auto p) {
    if constexpr (std::is_same_v<typename decltype(x)::value_type, float>) return power_of(x, p);
    return scalar_apply(
        [](auto a, auto b) { return std::isnan(a) || std::isnan(b) ? a + b : std::pow(a, b); }, x, p);
  };
  OpDef def =
      elementwise_op("power", "x to the power p; NaN for negative x unless p is a whole number.",
                     {{"x", "the base; at least 0 unless p is a whole number"}, {"p", "the exponent"}},
                     float_blocks<2>(function));
  def.traits.of_finite = Traits::OfFinite::or_nan;
  def.vjp = vjp;
  def.kinks =
      "At x = 0 the derivative by p is 0 where p >= 0, and the derivative by x is infinite where p < 1, "
      "except 0 where p = 0. For x < 0 the derivative by p is NaN.";
  def.bend = [](const BendContext& c) {
    const std::optional<double> p = c.number(1);
    const bool whole = p && *p >= 0 && std::floor(*p) == *p;
    return whole || c.is_positive(0) ? Bend::none : Bend::kink;
  };
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
