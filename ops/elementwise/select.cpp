#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = condition ≠ 0 ? yes : no; a NaN condition gives NaN.
OpDef records::select() {
  const auto function = [](auto condition, auto yes, auto no) {
    using T = decltype(condition);
    return select(is_nan(condition), condition, select(condition == T(0), no, yes));
  };
  OpDef def = elementwise_op(
      "select", "yes where the condition is not 0, else no; with broadcasting.",
      {{"condition", "of the dtype of the others; NaN comes through"}, {"yes", ""}, {"no", ""}},
      number_blocks<3>(function));
  def.traits.linear = {false, true, true};
  def.vjp = [](const GradContext& g) -> Adjoints {
    const Value condition = g.in(0), d = g.adjoint(0);
    return {Value(), g.needs(1) ? where(condition, d, 0) : Value(),
            g.needs(2) ? where(condition, 0, d) : Value()};
  };
  def.kinks = "The derivative by the condition is 0 everywhere.";
  def.bend = [](const BendContext& c) { return c.moves(0) ? Bend::kink : Bend::none; };
  def.reference = [](std::span<const long double> x) {
    return std::isnan(x[0]) ? x[0] : x[0] != 0 ? x[1] : x[2];
  };
  // At a condition of 0 the function jumps, so samples stay away from it.
  def.samples = {
      {"values", {{{3}, {1, -2, 0.25}, -1, 1, 0.1}, {{3}, {1, 2, 3}}, {{3}, {4, 5, 6}}}, {}, {1, 2, 3}},
      {"broadcast", {{{2, 3}, {}, -1, 1, 0.1}, {{3}}, {{2, 1}}}},
      {"scalars", {{{2, 3}, {}, -1, 1, 0.1}, {{}}, {{}}}}};
  return def;
}

Value where(Operand condition, Operand yes, Operand no) { return build("select", {condition, yes, no}); }

}  // namespace lariat
