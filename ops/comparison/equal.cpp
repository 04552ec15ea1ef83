#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = a == b
OpDef records::equal() {
  OpDef def = elementwise_op(
      "equal", "1 where a is equal to b, else 0, in their dtype; 0 where either is NaN.",
      {{"a", ""}, {"b", ""}}, number_blocks<2>([](auto a, auto b) { return indicator(a == b, a); }));
  def.traits.commutative = true;
  def.traits.stops_gradient = true;
  def.vjp = [](const GradContext&) -> Adjoints { return {Value(), Value()}; };
  def.kinks = "The derivative is 0 everywhere, where a = b as well.";
  def.reference = [](std::span<const long double> x) { return x[0] == x[1] ? 1.0L : 0.0L; };
  def.samples = {{"values", {{{3}, {1, 2, 3}}, {{3}, {2, 2, 2}}}, {}, {0, 1, 0}},
                 {"broadcast rows", {{{2, 3}}, {{3}}}},
                 {"scalar", {{{2, 1, 3, 2}}, {{}}}}};
  return def;
}

Value equal(Operand a, Operand b) { return build("equal", {a, b}); }

}  // namespace lariat
