#include <cmath>

#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/reduction.hpp"

namespace lariat {

// y = √Σx²:  dx = dy·x / y
OpDef records::norm2() {
  OpDef def{.name = "norm2",
            .doc = "√Σx², the Euclidean norm of all elements, accumulated in double.",
            .inputs = {{"x", "f32 or f64 of any shape"}},
            .outputs = {{"norm", "a scalar"}}};
  def.infer = infer_to_scalar;
  // Squared, summed and rooted in double: floats whose squares leave the range of floats have a norm.
  sum_over<all_axes>(
      def, [](double x) { return x * x; }, [](double total, double) { return std::sqrt(total); });
  def.vjp = [](const GradContext& g) -> Adjoints {
    const Value y = g.out(0);
    return {where(greater(y, 0), g.adjoint(0) * g.in(0) / y, 0)};
  };
  def.cost = streaming_cost<2>;
  def.kinks = "At x = 0 the derivative is 0.";
  def.samples = {{"values", {{{2}, {-3, 4}}}, {}, {5}},
                 {"matrix", {{{2, 3}, {}, 0.5, 2}}},
                 {"scalar", {{{}, {-2}}}, {}, {2}},
                 {"no elements", {{{2, 0}}}, {}, {0}}};
  def.rejects = {{{{i32, {2}}}, {}, "x is i32[2]; it must be f32 or f64. Use cast"}};
  return def;
}

Value norm2(Operand x) { return build("norm2", {x}); }

}  // namespace lariat
