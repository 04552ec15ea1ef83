#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace element_count_detail {

std::vector<TensorType> infer(const InferContext& c) {
  checked_axes(c.attribute<std::vector<int64_t>>("axes"), c.shape(0));
  return {{c.in(0).dtype, {}}};
}

template <class T>
void forward(const KernelContext& k) {
  const Extents& extents = k.inputs[0].extents;
  const std::vector<bool> counted =
      marked_axes(k.attributes.get<std::vector<int64_t>>("axes"), extents.size());
  int64_t count = 1;
  for (size_t i = 0; i < extents.size(); ++i) count *= counted[i] ? extents[i] : 1;
  k.out<T>(0)[0] = static_cast<T>(count);
}

}  // namespace element_count_detail

OpDef records::element_count() {
  using namespace element_count_detail;
  OpDef def{.name = "element_count",
            .doc = "The number of elements along axes, for means over dimensions known only at run time.",
            .inputs = {{"x", "only its shape and dtype are read"}},
            .outputs = {{"count", "a scalar of x's dtype"}}};
  def.attributes = {{"axes", AttributeKind::integers,
                     "the axes to count along, negative ones counted from the last; none: all",
                     Attribute(std::vector<int64_t>{})}};
  def.traits.shape_only = true;
  def.traits.stops_gradient = true;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.cost = [](std::span<const TensorView>, std::span<const TensorView>, const Attributes&) {
    return Cost{};
  };
  const auto axes = [](std::vector<int64_t> list) -> Attributes { return {{"axes", list}}; };
  def.samples = {{"all", {{{2, 3}}}, {}, {6}},
                 {"one axis", {{{2, 3}}}, axes({-1}), {3}},
                 {"no elements", {{{0, 3}}}, {}, {0}},
                 {"scalar", {{{}}}, {}, {1}}};
  def.rejects = {
      {{{f32, {2, 3}}}, axes({2}), "axis 2 does not exist: x is [2, 3], so axes run from -2 to 1"}};
  return def;
}

Value element_count(Operand x, std::vector<int64_t> axes) {
  using namespace element_count_detail;
  const Value count = build("element_count", {x}, {{"axes", axes}});
  const Shape& shape = x.value.shape();
  const std::vector<bool> counted = marked_axes(axes, shape.size());
  Dim known = 1;
  for (size_t i = 0; i < shape.size(); ++i) known = counted[i] ? known * shape[i] : known;
  if (!known.known()) return count;
  return x.value.graph().constant(static_cast<double>(known.size()), x.value.dtype(), x.where);
}

}  // namespace lariat
