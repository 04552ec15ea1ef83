#include <cmath>

#include "ops/kernels/reduction.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = Σ|x|:  dx = dy·sign x
OpDef records::abs_penalty() {
  OpDef def{.name = "abs_penalty",
            .doc = "Σ|x|, the lasso penalty (Tibshirani 1996), accumulated in double.",
            .inputs = {{"x", "f32 or f64 of any shape"}},
            .outputs = {{"penalty", "a scalar"}}};
  def.infer = infer_to_scalar;
  sum_over<all_axes>(
      def, [](auto x) { return std::abs(x); }, as_it_is);
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0) * sign(g.in(0))}; };
  def.cost = streaming_cost<2>;
  // The same φ as the element-wise op, so the same prox.
  def.penalty = records::abs().penalty;
  def.kinks = "At 0 the derivative is 0.";
  def.samples = {{"values", {{{3}, {-1.5, 0.25, 2}}}, {}, {3.75}},
                 {"matrix", {{{2, 3}, {}, -1, 1, 0.1}}},
                 {"scalar", {{{}, {-2}}}, {}, {2}},
                 {"no elements", {{{2, 0}}}, {}, {0}}};
  def.rejects = {{{{i32, {2}}}, {}, "x is i32[2]; it must be f32 or f64. Use cast"}};
  return def;
}

Value abs_penalty(Operand x) { return build("abs_penalty", {x}); }

}  // namespace lariat
