#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = x²:  dx = 2·dy·x
OpDef records::square() {
  OpDef def = elementwise_op("square", "x * x.", {{"x", ""}}, number_blocks<1>([](auto x) { return x * x; }));
  def.vjp = [](const GradContext& g) -> Adjoints { return {2 * g.adjoint(0) * g.in(0)}; };
  def.penalty = Penalty{
      .formula = "x^2", .operator_name = "shrinkage", .nonsmooth = false, .scalar = [](const Attributes&) {
        return ScalarPenalty{.quadratic = 1};
      }};
  def.reference = [](std::span<const long double> x) { return x[0] * x[0]; };
  def.samples = {
      {"values", {{{3}, {-1.5, 0, 2}}}, {}, {2.25, 0, 4}}, {"matrix", {{{2, 3}}}}, {"one", {{{1, 1, 1}}}}};
  return def;
}

Value square(Operand x) { return build("square", {x}); }

}  // namespace lariat
