#include "ops/kernels/groups.hpp"

#include <fmt/format.h>

#include "ops/ops.hpp"

namespace lariat {

namespace {

using Axes = std::vector<int64_t>;

// The penalty's result, and the shapes of its groups with and without the reduced axes.
struct ResultShapes {
  Shape result, kept, groups;
};

ResultShapes result_shapes(const Shape& shape, const Attributes& penalty) {
  const std::vector<bool> reduced = checked_axes(penalty.get<Axes>("axes"), shape);
  const Shape kept = reduced_shape(shape, reduced, true), groups = reduced_shape(shape, reduced, false);
  return {penalty.get<bool>("keep_dims") ? kept : groups, kept, groups};
}

}  // namespace

GroupedElements::GroupedElements(const Extents& extents, const std::vector<bool>& within) {
  int64_t stride = 1;
  const std::vector<Axis>* last = nullptr;
  for (size_t i = extents.size(); i-- > 0; stride *= extents[i]) {
    (within[i] ? size_ : count_) *= extents[i];
    if (extents[i] == 1) continue;
    std::vector<Axis>& axes = within[i] ? within_ : across_;
    if (last == &axes) {
      axes.back().extent *= extents[i];  // neighbours are one long axis
    } else {
      axes.push_back({extents[i], stride});
    }
    last = &axes;
  }
  std::reverse(across_.begin(), across_.end());
  std::reverse(within_.begin(), within_.end());
}

std::vector<TensorType> infer_group_prox(const InferContext& c, const Shape& weights) {
  check_float(c, 0, "v");
  check_one_dtype(c);
  if (!c.shape(1).empty() && c.shape(1) != c.shape(0))
    c.fail(fmt::format("the step is {}; it must be a scalar or have v's shape {}", text(c.shape(1)),
                       text(c.shape(0))));
  if (!c.shape(2).empty() && c.shape(2) != weights)
    c.fail(
        fmt::format("the weight is {}; it must be a scalar or of shape {}", text(c.shape(2)), text(weights)));
  return {c.in(0)};
}

std::vector<TensorType> infer_prox_along_axes(const InferContext& c) {
  const std::vector<bool> reduced = checked_axes(c.attribute<Axes>("axes"), c.shape(0));
  return infer_group_prox(c, reduced_shape(c.shape(0), reduced, false));
}

AttributeSpec group_axes_attribute() {
  return {"axes", AttributeKind::integers,
          "the axes within a group, negative ones counted from the last; none: all elements are one group",
          Attribute(Axes{})};
}

Value prox_along_axes(std::string_view op, ProxPoint at, Value weight, const Attributes& penalty,
                      const std::vector<Value>& more) {
  const ResultShapes shapes = result_shapes(at.point.shape(), penalty);
  if (weight.rank() > 0) weight = reshape(broadcast_to(weight, shapes.result), shapes.groups);
  std::vector<Operand> operands{at.point, at.step, weight};
  operands.insert(operands.end(), more.begin(), more.end());
  return build(op, operands, {{"axes", penalty.get<Axes>("axes")}});
}

Value weight_along_axes(Value x, Value weight, const Attributes& penalty) {
  if (weight.rank() == 0) return weight;
  const ResultShapes shapes = result_shapes(x.shape(), penalty);
  return reshape(broadcast_to(weight, shapes.result), shapes.kept);
}

ProxPoint at_unit_step(Value point) { return {point, point.graph().constant(1.0, point.dtype())}; }

}  // namespace lariat
