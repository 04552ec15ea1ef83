#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = √x:  dx = dy / (2y)
OpDef records::sqrt() {
  OpDef def = elementwise_op("sqrt", "The square root; NaN for negative x.", {{"x", ""}},
                             float_blocks<1>([](auto x) { return sqrt(x); }));
  def.traits.of_finite = Traits::OfFinite::or_nan;
  def.vjp = [](const GradContext& g) -> Adjoints { return {0.5 * g.adjoint(0) / g.out(0)}; };
  def.kinks = "At 0 the derivative is infinite.";
  def.bend = [](const BendContext& c) { return c.is_positive(0) ? Bend::none : Bend::kink; };
  def.reference = [](std::span<const long double> x) { return std::sqrt(x[0]); };
  def.samples = {{"values", {{{3}, {0.25, 2, 10}}}, {}, {0.5, 1.4142135623730950488, 3.162277660168379332}},
                 {"matrix", {{{2, 3}, {}, 0.5, 4}}},
                 {"no elements", {{{0}, {}, 1, 2}}}};
  return def;
}

Value sqrt(Operand x) { return build("sqrt", {x}); }

}  // namespace lariat
