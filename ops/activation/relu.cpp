#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = max(x, 0)
OpDef records::relu() {
  OpDef def = elementwise_op("relu", "max(x, 0); NaN comes through.", {{"x", ""}},
                             float_blocks<1>([](auto x) { return positive_part(x); }));
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {where(less_equal(g.out(0), 0), 0, g.adjoint(0))};
  };
  def.penalty = Penalty{.formula = "max(x, 0)",
                        .operator_name = "one-sided soft threshold",
                        .everyday = true,
                        .scalar = [](const Attributes&) {
                          return ScalarPenalty{.kinks = {{0, 0, 1}}};
                        }};
  def.kinks = "At 0 the derivative is 0.";
  def.reference = [](std::span<const long double> x) { return x[0] <= 0 ? 0 : x[0]; };
  def.samples = {{"values", {{{3}, {-1.5, 0.5, 2}}}, {}, {0, 0.5, 2}},
                 {"matrix", {{{2, 3}, {}, -1, 1, 0.1}}},
                 {"rank four", {{{2, 1, 3, 2}, {}, -1, 1, 0.1}}}};
  return def;
}

Value relu(Operand x) { return build("relu", {x}); }

}  // namespace lariat
