#include "ops/kernels/reduction.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = Σx²:  dx = 2·dy·x
OpDef records::square_penalty() {
  OpDef def{.name = "square_penalty",
            .doc = "Σx², the ridge penalty (Hoerl and Kennard 1970), accumulated in double.",
            .inputs = {{"x", "f32 or f64 of any shape"}},
            .outputs = {{"penalty", "a scalar"}}};
  def.infer = infer_to_scalar;
  // Squares as `square` takes them, summed as `sum` does: the same bits.
  sum_over<all_axes>(
      def, [](auto x) { return x * x; }, as_it_is);
  def.vjp = [](const GradContext& g) -> Adjoints { return {2 * g.adjoint(0) * g.in(0)}; };
  def.cost = streaming_cost<2>;
  // The same φ as the element-wise op, so the same prox.
  def.penalty = records::square().penalty;
  def.samples = {{"values", {{{3}, {-1.5, 0.5, 2}}}, {}, {6.5}},
                 {"matrix", {{{2, 3}}}},
                 {"scalar", {{{}, {-2}}}, {}, {4}},
                 {"no elements", {{{2, 0}}}, {}, {0}}};
  def.rejects = {{{{i32, {2}}}, {}, "x is i32[2]; it must be f32 or f64. Use cast"}};
  return def;
}

Value square_penalty(Operand x) { return build("square_penalty", {x}); }

}  // namespace lariat
