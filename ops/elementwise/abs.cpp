#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = |x|:  dx = dy·sign x
OpDef records::abs() {
  OpDef def = elementwise_op("abs", "|x|.", {{"x", ""}}, number_blocks<1>([](auto x) { return abs(x); }));
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0) * sign(g.in(0))}; };
  def.kinks = "At 0 the derivative is 0.";
  def.penalty = Penalty{.formula = "|x|", .operator_name = "soft threshold", .scalar = [](const Attributes&) {
                          return ScalarPenalty{.kinks = {{0, -1, 1}}};
                        }};
  def.reference = [](std::span<const long double> x) { return std::fabs(x[0]); };
  def.samples = {{"values", {{{2}, {-1.5, 2}}}, {}, {1.5, 2}},
                 {"matrix", {{{2, 3}, {}, -1, 1, 0.1}}},
                 {"no elements", {{{2, 0}}}}};
  return def;
}

Value abs(Operand x) { return build("abs", {x}); }

}  // namespace lariat
