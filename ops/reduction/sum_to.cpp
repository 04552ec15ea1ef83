#include <fmt/format.h>

#include <cstring>

#include "ops/kernels/reduction.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace sum_to_detail {

std::vector<TensorType> infer(const InferContext& c) {
  const Shape &from = c.shape(0), &to = c.attribute<Shape>("shape");
  if (broadcast(to, from) != from)
    c.fail(fmt::format("{} cannot be summed to {}: it does not broadcast back to {}", text(from), text(to),
                       text(from)));
  return {{c.in(0).dtype, to}};
}

std::vector<bool> stretched_axes(const TensorView& x, const TensorView& result, const Attributes&) {
  std::vector<bool> reduced(x.extents.size(), true);
  const size_t added = x.extents.size() - result.extents.size();
  for (size_t i = added; i < reduced.size(); ++i) reduced[i] = result.extents[i - added] != x.extents[i];
  return reduced;
}

// Where nothing is summed the elements are kept, -0 too: 0 + -0 would be 0.
template <class T>
void forward(const KernelContext& k) {
  if (k.inputs[0].extents == k.outputs[0].extents) {
    std::memcpy(k.outputs[0].data, k.inputs[0].data, k.outputs[0].bytes());
  } else {
    constexpr auto itself = [](auto x) { return x; };
    reduction_detail::sum_kernel<std::remove_const_t<decltype(itself)>,
                                 std::remove_const_t<decltype(as_it_is)>, T>(k);
  }
}

}  // namespace sum_to_detail

// The adjoint of broadcasting: every element that a value was copied to adds its adjoint.
OpDef records::sum_to() {
  using namespace sum_to_detail;
  OpDef def{.name = "sum_to",
            .doc = "Sums over the dimensions that broadcasting had stretched.",
            .inputs = {{"x", "of a shape that `shape` broadcasts to"}},
            .outputs = {{"sum", "of shape `shape`"}}};
  def.attributes = {{"shape", AttributeKind::shape, "the shape before broadcasting"}};
  def.traits.linear = {true};
  def.infer = infer;
  plain_sum<stretched_axes>(def);
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.vjp = [](const GradContext& g) -> Adjoints { return {broadcast_to(g.adjoint(0), g.in(0).shape())}; };
  def.cost = streaming_cost<1>;
  const std::vector<double> six{1, 2, 3, 4, 5, 6};
  const auto to = [](Shape shape) -> Attributes { return {{"shape", shape}}; };
  def.samples = {{"to a row", {{{2, 3}, six}}, to({3}), {5, 7, 9}},
                 {"to a column", {{{2, 3}, six}}, to({2, 1}), {6, 15}},
                 {"to a scalar", {{{2, 3}, six}}, to({}), {21}},
                 {"unchanged", {{{2, 3}, six}}, to({2, 3}), six},
                 {"both ends", {{{2, 3, 4}}}, to({1, 3, 1})},
                 {"from no elements", {{{0, 3}}}, to({3}), {0, 0, 0}}};
  def.rejects = {
      {{{f32, {2, 3}}}, to({2}), "[2, 3] cannot be summed to [2]: it does not broadcast back to [2, 3]"},
      {{{f32, {3}}}, to({2, 3}), "[3] cannot be summed to [2, 3]: it does not broadcast back to [3]"}};
  return def;
}

Value sum_to(Operand x, Shape shape) { return build("sum_to", {x}, {{"shape", std::move(shape)}}); }

}  // namespace lariat
