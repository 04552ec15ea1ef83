#include "ops/kernels/reduction.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace sum_detail {

// y = Σ x:  dx = dy, stretched back over the summed axes.
Adjoints vjp(const GradContext& g) {
  return {broadcast_to(reshape(g.adjoint(0), kept_shape(g)), g.in(0).shape())};
}

}  // namespace sum_detail

OpDef records::sum() {
  using namespace sum_detail;
  OpDef def{.name = "sum",
            .doc = "The sum over axes, accumulated in double.",
            .inputs = {{"x", "of any shape"}},
            .outputs = {{"sum", "x's shape without the summed axes"}},
            .attributes = reduction_attributes()};
  def.traits.linear = {true};
  def.infer = infer_reduction;
  plain_sum<axes_attribute>(def);
  def.vjp = vjp;
  def.cost = streaming_cost<1>;
  const auto axes = [](std::vector<int64_t> list, bool keep = false) -> Attributes {
    return {{"axes", list}, {"keep_dims", keep}};
  };
  const std::vector<double> six{1, 2, 3, 4, 5, 6};
  def.samples = {{"all", {{{2, 3}, six}}, {}, {21}},
                 {"rows", {{{2, 3}, six}}, axes({1}), {6, 15}},
                 {"columns", {{{2, 3}, six}}, axes({0}), {5, 7, 9}},
                 {"integers", {{.extents = {3}, .values = {1, -2, 7}, .dtype = i32}}, {}, {6}},
                 {"kept", {{{2, 3}, six}}, axes({-1}, true), {6, 15}},
                 {"middle axis", {{{2, 3, 4}}}, axes({1})},
                 {"outer axes of four", {{{2, 3, 4, 2}}}, axes({0, 2})},
                 {"no elements", {{{0, 3}}}, axes({0}), {0, 0, 0}},
                 {"no results", {{{0, 3}}}, axes({1})},
                 {"scalar", {{{}, {3}}}, {}, {3}}};
  def.rejects = {{{{f32, {2, 3}}}, axes({2}), "axis 2 does not exist: x is [2, 3], so axes run from -2 to 1"},
                 {{{f32, {2, 3}}}, axes({1, -1}), "axis -1 is named twice"},
                 {{{f32, {}}}, axes({0}), "axis 0 does not exist: x is a scalar"}};
  return def;
}

Value sum(Operand x, std::vector<int64_t> axes, bool keep_dims) {
  return build("sum", {x}, {{"axes", std::move(axes)}, {"keep_dims", keep_dims}});
}

}  // namespace lariat
