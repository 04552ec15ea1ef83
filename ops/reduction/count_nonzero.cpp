#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace count_nonzero_detail {

Value prox(ProxPoint at, Value weight, const Attributes&) {
  return hard_threshold(at.point, at.step, weight);
}

// The limiting subdifferential is all numbers at 0, and {0} elsewhere.
Value residual(Value x, Value gradient, Value weight, const Attributes&) {
  return where(equal(x, 0) * greater(weight, 0), 0, gradient);
}

}  // namespace count_nonzero_detail

// y = [x ≠ 0]; x − x is NaN for NaN and infinity, of which the latter is not 0.
OpDef records::count_nonzero() {
  using namespace count_nonzero_detail;
  OpDef def = elementwise_op(
      "count_nonzero", "1 where x is not 0, else 0; NaN for NaN. Its sum is the number of non-zeros, ‖x‖₀.",
      {{"x", ""}},
      float_blocks<1>([](auto x) { return select(is_nan(x), x, indicator(x != decltype(x)(0), x)); }));
  def.vjp = [](const GradContext&) -> Adjoints { return {Value()}; };
  def.kinks = "The derivative is 0 everywhere, at 0 as well.";
  def.penalty = Penalty{.formula = "[x ≠ 0]",
                        .operator_name = "hard threshold",
                        .combination = Combination::alone,
                        .convex = false,
                        .prox = prox,
                        .residual = residual};
  def.reference = [](std::span<const long double> x) {
    return x[0] != x[0] ? x[0] : static_cast<long double>(x[0] != 0);
  };
  def.samples = {{"values", {{{4}, {-3, 0, 1e-30, -0.0}, -1, 1, 1, {-3, 0, 1e-30}}}, {}, {1, 0, 1, 0}},
                 {"matrix", {{{2, 3}, {}, -1, 1, 0.1}}}};
  return def;
}

Value count_nonzero(Operand x) { return build("count_nonzero", {x}); }

}  // namespace lariat
