#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = 1/x:  dx = −dy·y²
OpDef records::reciprocal() {
  OpDef def = elementwise_op("reciprocal", "1 / x; infinite at 0.", {{"x", ""}},
                             float_blocks<1>([](auto x) { return decltype(x)(1) / x; }));
  def.traits.of_finite = Traits::OfFinite::or_infinite;
  def.vjp = [](const GradContext& g) -> Adjoints { return {-g.adjoint(0) * g.out(0) * g.out(0)}; };
  def.bend = [](const BendContext& c) { return c.is_positive(0) ? Bend::none : Bend::pole; };
  def.reference = [](std::span<const long double> x) { return 1 / x[0]; };
  def.samples = {{"values", {{{3}, {3, -4, 10}}}, {}, {0.33333333333333333333, -0.25, 0.1}},
                 {"matrix", {{{2, 3}, {}, 0.5, 2}}},
                 {"scalar", {{{}, {}, -2, -0.5}}}};
  return def;
}

Value reciprocal(Operand x) { return build("reciprocal", {x}); }

}  // namespace lariat
