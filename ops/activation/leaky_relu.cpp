#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = x for x > 0, else slope·x
OpDef records::leaky_relu() {
  const auto function = [](const Attributes& attributes) {
    return [slope = attributes.get<double>("slope")](auto x) {
      using T = decltype(x);
      return select(x > T(0), x, T(slope) * x);
    };
  };
  OpDef def = elementwise_op("leaky_relu", "x for x > 0, else slope * x.", {{"x", ""}},
                             float_blocks_with<1>(function));
  def.attributes = {{"slope", AttributeKind::real, "the slope below 0", Attribute(0.01)}};
  def.vjp = [](const GradContext& g) -> Adjoints {
    const Value d = g.adjoint(0);
    return {where(greater(g.in(0), 0), d, g.attributes().get<double>("slope") * d)};
  };
  def.kinks = "At 0 the derivative is the slope.";
  def.bend = [](const BendContext& c) {
    return c.attributes.get<double>("slope") == 1 ? Bend::none : Bend::kink;
  };
  def.samples = {{"values", {{{3}, {-2, 0.5, 3}}}, {{"slope", 0.25}}, {-0.5, 0.5, 3}},
                 {"matrix", {{{2, 3}, {}, -1, 1, 0.1}}},
                 {"no kink", {{{2, 3}}}, {{"slope", 1.0}}},
                 {"no elements", {{{0}}}}};
  return def;
}

Value leaky_relu(Operand x, double slope) { return build("leaky_relu", {x}, {{"slope", slope}}); }

}  // namespace lariat
