#include <fmt/format.h>

#include "graph/base/error.hpp"
#include "ops/kernels/reduction.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace reduce_max_detail {

std::vector<TensorType> infer(const InferContext& c) {
  const Shape& shape = c.shape(0);
  const std::vector<bool> reduced = checked_axes(c.attribute<std::vector<int64_t>>("axes"), shape);
  for (size_t i = 0; i < shape.size(); ++i)
    if (reduced[i] && shape[i] == Dim(0))
      c.fail(fmt::format("axis {} of {} is empty and has no maximum", i, text(shape)));
  return infer_reduction(c);
}

template <class T>
void forward(const KernelContext& k) {
  if (k.inputs[0].count() == 0 && k.outputs[0].count() > 0)
    throw UserError(fmt::format("x is {}; no elements have no maximum", text(k.inputs[0].extents)));
  reduce<Maximizing, T>(
      k, [](T x) { return x; }, [](T maximum) { return maximum; });
}

// dx = dy·[x = y] / (how many are equal to y)
Adjoints vjp(const GradContext& g) {
  const Value x = g.in(0);
  const Shape kept = kept_shape(g);
  const std::vector<int64_t> axes = g.attributes().get<std::vector<int64_t>>("axes");
  const Value chosen = equal(x, reshape(g.out(0), kept));
  return {chosen * (reshape(g.adjoint(0), kept) / sum(chosen, axes, true))};
}

}  // namespace reduce_max_detail

OpDef records::reduce_max() {
  using namespace reduce_max_detail;
  OpDef def{.name = "reduce_max",
            .doc = "The maximum over axes; NaN counts as the largest.",
            .inputs = {{"x", "of any shape, not empty along the axes"}},
            .outputs = {{"maximum", "x's shape without the reduced axes"}},
            .attributes = reduction_attributes()};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.prepare = prepare_reduction<axes_attribute>;
  def.workspace = reduction_workspace;
  def.vjp = vjp;
  def.cost = streaming_cost<1>;
  def.kinks = "Elements that are equal to the maximum share the adjoint equally.";
  const auto axes = [](std::vector<int64_t> list, bool keep = false) -> Attributes {
    return {{"axes", list}, {"keep_dims", keep}};
  };
  // Distinct values, so that no sample lies at a kink.
  const std::vector<double> apart{0.1, 0.9, 0.4, -0.3, 0.7, 0.2, -0.8, 0.6, -0.5, 0.3, -0.1, 0.5};
  def.samples = {{"all", {{{2, 3}, {1, 2, 3, -4, -5, -6}}}, {}, {3}},
                 {"rows", {{{2, 3}, {1, 2, 3, -4, -5, -6}}}, axes({1}), {3, -4}},
                 {"columns", {{{2, 3}, {1, -2, 3, -4, 5, -6}}}, axes({0}), {1, 5, 3}},
                 {"integers", {{.extents = {3}, .values = {1, 9, 7}, .dtype = i32}}, {}, {9}},
                 {"kept", {{{2, 3, 2}, apart}}, axes({1}, true)},
                 {"outer and inner", {{{2, 3, 2}, apart}}, axes({0, -1})},
                 {"no results", {{{0, 3}}}, axes({1})},
                 {"scalar", {{{}, {3}}}, {}, {3}}};
  def.rejects = {
      {{{f32, {2, 0}}}, axes({1}), "axis 1 of [2, 0] is empty and has no maximum"},
      {{{f32, {2, 3}}}, axes({2}), "axis 2 does not exist: x is [2, 3], so axes run from -2 to 1"}};
  return def;
}

Value reduce_max(Operand x, std::vector<int64_t> axes, bool keep_dims) {
  return build("reduce_max", {x}, {{"axes", std::move(axes)}, {"keep_dims", keep_dims}});
}

}  // namespace lariat
