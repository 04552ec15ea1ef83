#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = x for x > 0, else alpha·(e^x − 1) (Clevert et al. 2015):  dx = dy for x > 0, else dy·(y + alpha)
OpDef records::elu() {
  const auto function = [](const Attributes& attributes) {
    return [alpha = attributes.get<double>("alpha")](auto x) {
      using T = decltype(x);
      return select(x > T(0), x, T(alpha) * expm1_of(x));
    };
  };
  OpDef def = elementwise_op("elu", "x for x > 0, else alpha * (e^x - 1).", {{"x", ""}},
                             float_blocks_with<1>(function));
  def.attributes = {{"alpha", AttributeKind::real, "minus the limit at minus infinity", Attribute(1.0)}};
  def.vjp = [](const GradContext& g) -> Adjoints {
    const Value d = g.adjoint(0);
    return {where(greater(g.in(0), 0), d, d * (g.out(0) + g.attributes().get<double>("alpha")))};
  };
  def.kinks = "At 0 the derivative is alpha.";
  def.bend = [](const BendContext& c) {
    return c.attributes.get<double>("alpha") == 1 ? Bend::none : Bend::kink;
  };
  def.samples = {
      {"values", {{{4}, {-1, -0.25, 0.5, 3}}}, {}, {-0.6321205588285576784, -0.22119921692859513175, 0.5, 3}},
      {"matrix", {{{2, 3}, {}, -2, 2, 0.1}}},
      {"another alpha", {{{4}, {}, -2, 2, 0.1}}, {{"alpha", 0.5}}}};
  return def;
}

Value elu(Operand x, double alpha) { return build("elu", {x}, {{"alpha", alpha}}); }

}  // namespace lariat
