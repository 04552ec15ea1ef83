#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = max(a, b): NaN from either side, and +0 above −0 (IEEE 754-2019), so that the order of a and b
// does not matter. Of equal numbers only zeros differ in their bits.
OpDef records::maximum() {
  const auto function = [](auto a, auto b) {
    const auto chosen = select(a == b, a & b, select(a > b, a, b));
    return select(is_nan(a), a, chosen);
  };
  OpDef def = elementwise_op(
      "maximum", "The larger of a and b, element by element, with broadcasting; NaN comes through.",
      {{"a", ""}, {"b", ""}}, number_blocks<2>(function));
  def.traits.commutative = true;
  def.vjp = [](const GradContext& g) -> Adjoints {
    const Value a = g.in(0), b = g.in(1), d = g.adjoint(0), half = where(equal(a, b), 0.5 * d, d);
    return {g.needs(0) ? where(less(a, b), 0, half) : Value(),
            g.needs(1) ? where(less(b, a), 0, half) : Value()};
  };
  def.kinks = "Where a = b each gets half of the adjoint.";
  def.reference = [](std::span<const long double> x) {
    if (std::isnan(x[0]) || std::isnan(x[1])) return x[0] + x[1];
    if (x[0] == x[1]) return std::signbit(x[0]) ? x[1] : x[0];
    return x[0] > x[1] ? x[0] : x[1];
  };
  // a lies near whole numbers and b near odd halves.
  const std::vector<double> halves{-1.5, -0.5, 0.5, 1.5}, wholes{-2, -1, 0, 1, 2};
  def.samples = {{"values", {{{3}, {1, -2, 3}}, {{3}, {10, -20, 2.5}}}, {}, {10, -2, 3}},
                 {"broadcast rows", {{{2, 3}, {}, -2, 2, 0.3, halves}, {{3}, {}, -2, 2, 0.3, wholes}}},
                 {"outer", {{{3, 1}, {}, -2, 2, 0.3, halves}, {{2, 1, 4}, {}, -2, 2, 0.3, wholes}}},
                 {"scalar", {{{2, 3}, {}, -2, 2, 0.3, halves}, {{}, {0.5}}}}};
  return def;
}

Value maximum(Operand a, Operand b) { return build("maximum", {a, b}); }

}  // namespace lariat
