#include "ops/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace {

std::vector<TensorType> infer(const InferContext& c) {
  checked_axes(c.attribute<std::vector<int64_t>>("axes"), c.shape(0));
  return {{c.in(0).dtype, {}}};
}

template <class T>
void forward(const KernelContext& k) {
  const Extents& extents = k.inputs[0].extents;
  const std::vector<bool> counted = marked_axes(k.attributes.get<std::vector<int64_t>>("axes"), extents.size());
  int64_t count = 1;
  for (size_t i = 0; i < extents.size(); ++i) count *= counted[i] ? extents[i] : 1;
  k.out<T>(0)[0] = static_cast<T>(count);
}

}  // namespace

OpDef records::element_count() {
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
  def.cost = [](std::span<const TensorView>, std::span<const TensorView>, const Attributes&) { return Cost{}; };
  const auto axes = [](std::vector<int64_t> list) -> Attributes { return {{"axes", list}}; };
  def.samples = {{"all", {{{2, 3}}}, {}, {6}},
                 {"one axis", {{{2, 3}}}, axes({-1}), {3}},
                 {"no elements", {{{0, 3}}}, {}, {0}},
                 {"scalar", {{{}}}, {}, {1}}};
  def.rejects = {{{{f32, {2, 3}}}, axes({2}), "axis 2 does not exist: x is [2, 3], so axes run from -2 to 1"}};
  return def;
}

Value element_count(Operand x, std::vector<int64_t> axes) {
  if (x.value && is_known(x.value.shape())) {
    const std::vector<bool> counted = marked_axes(axes, x.value.shape().size());
    int64_t count = 1;
    for (size_t i = 0; i < counted.size(); ++i) count *= counted[i] ? x.value.shape()[i].size() : 1;
    return x.value.graph().constant(static_cast<double>(count), x.value.dtype(), x.where);
  }
  return build("element_count", {x}, {{"axes", std::move(axes)}});
}

}  // namespace lariat
