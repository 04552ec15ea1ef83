#include <fmt/format.h>

#include <cmath>

#include "graph/base/error.hpp"
#include "ops/kernels/groups.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace absolute_differences_detail {

int64_t axis_of(const Attributes& attributes) { return attributes.get<int64_t>("axis"); }

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "x");
  TensorType result = c.in(0);
  const int64_t axis = checked_axis(c.attribute<int64_t>("axis"), result.shape);
  if (result.shape[axis] == Dim(0))
    c.fail(fmt::format("axis {} of {} is empty and has no differences", axis, text(result.shape)));
  result.shape[axis] = result.shape[axis] - 1;
  return {result};
}

template <class T>
void forward(const KernelContext& k) {
  const AxisBlocks from = blocks_around(k.inputs[0].extents, axis_of(k.attributes));
  if (from.extent == 0) throw UserError("x has no elements along the axis, and so no differences");
  const int64_t inner = from.inner, count = (from.extent - 1) * inner;
  k.parallel.run(from.outer, rows_per_task(count), [&](int64_t begin, int64_t end) {
    for (int64_t outer = begin; outer < end; ++outer) {
      const T* x = k.in<T>(0) + outer * from.extent * inner;
      T* y = k.out<T>(0) + outer * count;
      for (int64_t i = 0; i < count; ++i) y[i] = std::abs(x[i + inner] - x[i]);
    }
  });
}

Value differences(Value x, int64_t axis) {
  return slice(x, axis, 1, x.shape()[checked_axis(axis, x.shape())]) - slice(x, axis, 0, -1);
}

// The adjoint of the differences: each one pulls at its two ends.
Value pulled(Value differences, int64_t axis) {
  return pad(differences, axis, 1, 0) - pad(differences, axis, 0, 1);
}

Adjoints vjp(const GradContext& g) {
  const int64_t axis = axis_of(g.attributes());
  return {pulled(g.adjoint(0) * sign(differences(g.in(0), axis)), axis)};
}

// A weight that broadcasts to the differences of x, as one number or one for each.
Value weight_of_differences(Value x, Value weight, int64_t axis) {
  if (weight.rank() == 0) return weight;
  Shape shape = x.shape();
  Dim& extent = shape[checked_axis(axis, shape)];
  extent = extent - 1;
  return broadcast_to(weight, shape);
}

Value prox(ProxPoint at, Value weight, const Attributes& attributes) {
  const int64_t axis = axis_of(attributes);
  return total_variation_prox(at.point, at.step, weight_of_differences(at.point, weight, axis), axis);
}

Value prox_beside_kinks(ProxPoint at, Value weight, const std::vector<Value>& kinks,
                        const Attributes& attributes) {
  const int64_t axis = axis_of(attributes);
  std::vector<Operand> operands{at.point, at.step, weight_of_differences(at.point, weight, axis)};
  operands.insert(operands.end(), kinks.begin(), kinks.end());
  return build("total_variation_kink_prox", operands, {{"axis", axis}});
}

// A difference other than 0 pulls with its whole weight. The others may pull less, and what is then left at
// least is the prox of these others at the rest, with a step of 1 (by duality).
Value residual(Value x, Value gradient, Value weight, const Attributes& attributes) {
  const int64_t axis = axis_of(attributes);
  const Value difference = differences(x, axis);
  return prox(at_unit_step(gradient + pulled(weight * sign(difference), axis)), weight * equal(difference, 0),
              attributes);
}

}  // namespace absolute_differences_detail

// yᵢ = |xᵢ₊₁ − xᵢ|
OpDef records::absolute_differences() {
  using namespace absolute_differences_detail;
  OpDef def{.name = "absolute_differences",
            .doc =
                "|x[i+1] - x[i]| along one axis; the sum is the total variation (Rudin, Osher and Fatemi "
                "1992), the penalty of the fused lasso (Tibshirani et al. 2005).",
            .inputs = {{"x", "f32 or f64 [.., n, ..], n at least 1"}},
            .outputs = {{"differences", "[.., n - 1, ..]"}}};
  def.attributes = {{"axis", AttributeKind::integer, "the axis, negative ones counted from the last"}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = streaming_cost<2>;
  def.penalty = Penalty{.formula = "|Δx|",
                        .operator_name = "total variation denoising",
                        .combination = Combination::alone,
                        .prox = prox,
                        .prox_beside_kinks = prox_beside_kinks,
                        .residual = residual};
  def.kinks = "Where two neighbours are equal their difference has derivative 0.";
  const auto along = [](int64_t axis) -> Attributes { return {{"axis", axis}}; };
  def.samples = {{"values", {{{4}, {1, 3, 2.5, -1}}}, along(0), {2, 0.5, 3.5}},
                 {"rows", {{{2, 3}, {1, 2, 4, 8, 5, 6}}}, along(-1), {1, 2, 3, 1}},
                 {"columns", {{{3, 2}, {1, 8, 2, 5, 4, 6}}}, along(0), {1, 3, 2, 1}},
                 {"middle axis", {{{2, 3, 2}, {1, 2, 5, 4, 9, 7, 3, 1, 8, 2, 6, 9}}}, along(1)},
                 {"one element", {{{1, 2}}}, along(0)},
                 {"no lines", {{{0, 3}}}, along(1)}};
  def.rejects = {{{{f32, {0, 3}}}, along(0), "axis 0 of [0, 3] is empty and has no differences"},
                 {{{f32, {2, 3}}}, along(2), "axis 2 does not exist: x is [2, 3], so axes run from -2 to 1"},
                 {{{i32, {2}}}, along(0), "x is i32[2]; it must be f32 or f64. Use cast"}};
  return def;
}

Value absolute_differences(Operand x, int64_t axis) {
  using namespace absolute_differences_detail;
  return build("absolute_differences", {x}, {{"axis", axis}});
}

}  // namespace lariat
