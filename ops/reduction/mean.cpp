#include "ops/kernels/reduction.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace mean_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "x");
  return infer_reduction(c);
}

// y = (1/n) Σ x:  dx = dy / n, stretched back over the axes.
Adjoints vjp(const GradContext& g) {
  const Value x = g.in(0);
  const Shape shape = x.shape(), kept = kept_shape(g);
  const Value share = g.adjoint(0) / element_count(x, g.attributes().get<std::vector<int64_t>>("axes"));
  return {broadcast_to(reshape(share, kept), shape)};
}

}  // namespace mean_detail

OpDef records::mean() {
  using namespace mean_detail;
  OpDef def{.name = "mean",
            .doc = "The mean over axes, accumulated in double; NaN over no elements.",
            .inputs = {{"x", "f32 or f64 of any shape"}},
            .outputs = {{"mean", "x's shape without the averaged axes"}},
            .attributes = reduction_attributes()};
  def.traits.linear = {true};
  def.infer = infer;
  sum_over<axes_attribute>(
      def, [](double x) { return x; }, [](double total, double count) { return total / count; });
  def.vjp = vjp;
  def.cost = streaming_cost<1>;
  const auto axes = [](std::vector<int64_t> list, bool keep = false) -> Attributes {
    return {{"axes", list}, {"keep_dims", keep}};
  };
  const std::vector<double> six{1, 2, 3, 4, 5, 6};
  def.samples = {{"all", {{{2, 3}, six}}, {}, {3.5}},
                 {"rows", {{{2, 3}, six}}, axes({1}), {2, 5}},
                 {"columns", {{{2, 3}, six}}, axes({0}), {2.5, 3.5, 4.5}},
                 {"kept", {{{3, 2, 4}}}, axes({0, -1}, true)},
                 {"no results", {{{0, 3}}}, axes({1})},
                 {"scalar", {{{}, {3}}}, {}, {3}}};
  def.rejects = {
      {{{f32, {2, 3}}}, axes({-3}), "axis -3 does not exist: x is [2, 3], so axes run from -2 to 1"},
      {{{i32, {2}}}, {}, "x is i32[2]; it must be f32 or f64. Use cast"}};
  return def;
}

Value mean(Operand x, std::vector<int64_t> axes, bool keep_dims) {
  return build("mean", {x}, {{"axes", std::move(axes)}, {"keep_dims", keep_dims}});
}

}  // namespace lariat
