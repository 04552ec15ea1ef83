#include <cmath>

#include "ops/kernels/groups.hpp"
#include "ops/kernels/reduction.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace norm2_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "x");
  return infer_reduction(c);
}

// dx = dy·x / y
Adjoints vjp(const GradContext& g) {
  const Shape kept = kept_shape(g);
  const Value y = reshape(g.out(0), kept);
  return {where(greater(y, 0), reshape(g.adjoint(0), kept) * g.in(0) / y, 0)};
}

Value prox(ProxPoint at, Value weight, const Attributes& attributes) {
  return prox_along_axes("group_soft_threshold", at, weight, attributes);
}

Value prox_beside_kinks(ProxPoint at, Value weight, const std::vector<Value>& kinks,
                        const Attributes& attributes) {
  return prox_along_axes("group_kink_prox", at, weight, attributes, kinks);
}

// Of a group that is not 0 the subdifferential is one point; at 0 it is a ball, and what is left of the
// gradient is its soft threshold.
Value residual(Value x, Value gradient, Value weight, const Attributes& attributes) {
  const Value size = norm2(x, attributes.get<std::vector<int64_t>>("axes"), true);
  return where(greater(size, 0), gradient + weight_along_axes(x, weight, attributes) * (x / size),
               prox(at_unit_step(gradient), weight, attributes));
}

}  // namespace norm2_detail

// y = √Σx²
OpDef records::norm2() {
  using namespace norm2_detail;
  OpDef def{.name = "norm2",
            .doc =
                "√Σx² over axes, the Euclidean norm, accumulated in double; the group lasso's penalty "
                "(Yuan and Lin 2006).",
            .inputs = {{"x", "f32 or f64 of any shape"}},
            .outputs = {{"norm", "x's shape without the reduced axes"}},
            .attributes = reduction_attributes()};
  def.infer = infer;
  // Squared, summed and rooted in double: floats whose squares leave the range of floats have a norm.
  sum_over<axes_attribute>(
      def, [](double x) { return x * x; }, [](double total, double) { return std::sqrt(total); });
  def.vjp = vjp;
  def.cost = streaming_cost<2>;
  def.penalty = Penalty{.formula = "‖x‖₂",
                        .operator_name = "group soft threshold",
                        .everyday = true,
                        .combination = Combination::last,
                        .prox = prox,
                        .prox_beside_kinks = prox_beside_kinks,
                        .residual = residual};
  def.kinks = "Where all x of a group are 0 the derivative is 0.";
  const auto axes = [](std::vector<int64_t> list, bool keep = false) -> Attributes {
    return {{"axes", list}, {"keep_dims", keep}};
  };
  const std::vector<double> six{3, -4, 0, 5, 12, 84};
  def.samples = {{"values", {{{2}, {-3, 4}}}, {}, {5}},
                 {"matrix", {{{2, 3}, {}, 0.5, 2}}},
                 {"rows", {{{2, 3}, six}}, axes({1}), {5, 85}},
                 {"columns", {{{3, 2}, {3, 5, -4, 12, 0, 84}}}, axes({0}), {5, 85}},
                 {"kept", {{{2, 3}, six}}, axes({-1}, true), {5, 85}},
                 {"outer and inner", {{{2, 3, 2}, {}, 0.5, 2}}, axes({0, 2})},
                 {"scalar", {{{}, {-2}}}, {}, {2}},
                 {"no elements", {{{2, 0}}}, {}, {0}},
                 {"groups of no elements", {{{2, 0}}}, axes({1}), {0, 0}}};
  def.rejects = {{{{f32, {2, 3}}}, axes({2}), "axis 2 does not exist: x is [2, 3], so axes run from -2 to 1"},
                 {{{i32, {2}}}, {}, "x is i32[2]; it must be f32 or f64. Use cast"}};
  return def;
}

Value norm2(Operand x, std::vector<int64_t> axes, bool keep_dims) {
  return build("norm2", {x}, {{"axes", std::move(axes)}, {"keep_dims", keep_dims}});
}

}  // namespace lariat
