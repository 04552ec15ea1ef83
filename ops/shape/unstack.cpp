#include <fmt/format.h>

#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace unstack_detail {

std::vector<TensorType> infer(const InferContext& c) {
  Shape shape = c.shape(0);
  const int64_t axis = checked_axis(c.attribute<int64_t>("axis"), shape);
  const Dim count = shape[axis];
  if (!count.known() || count.size() == 0)
    c.fail(fmt::format("axis {} of {} has {} elements; their number must be known and above 0", axis,
                       text(shape), count.text()));
  shape.erase(shape.begin() + axis);
  return std::vector<TensorType>(static_cast<size_t>(count.size()), {c.in(0).dtype, shape});
}

template <class Bits>
void forward(const KernelContext& k) {
  const AxisBlocks from = blocks_around(k.inputs[0].extents, k.attributes.get<int64_t>("axis"));
  if (k.inputs[0].count() == 0) return;
  k.parallel.run(from.outer, rows_per_task(from.extent * from.inner), [&](int64_t first, int64_t last) {
    for (int64_t o = first; o < last; ++o)
      for (int64_t i = 0; i < from.extent; ++i)
        std::copy_n(k.in<Bits>(0) + (o * from.extent + i) * from.inner, from.inner,
                    k.out<Bits>(i) + o * from.inner);
  });
}

}  // namespace unstack_detail

// dx = the adjoints side by side.
OpDef records::unstack() {
  using namespace unstack_detail;
  OpDef def{.name = "unstack",
            .doc = "Takes an axis apart: one result for each of its elements.",
            .inputs = {{"x", "of rank 1 or more"}},
            .outputs = {{"parts", "x without the axis"}}};
  def.variadic_outputs = true;
  def.attributes = {{"axis", AttributeKind::integer, "the axis; negative: counted from the last"}};
  def.traits.selection = true;
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<uint32_t>, forward<uint64_t>, forward<uint32_t>};
  def.vjp = [](const GradContext& g) -> Adjoints {
    std::vector<Value> parts;
    const int64_t axis = g.attributes().get<int64_t>("axis");
    const int64_t count = g.in(0).shape()[axis < 0 ? axis + g.in(0).rank() : axis].size();
    for (int64_t i = 0; i < count; ++i) parts.push_back(g.adjoint(i));
    return {stack(parts, axis)};
  };
  def.cost = streaming_cost<0>;
  const auto along = [](int64_t axis) -> Attributes { return {{"axis", axis}}; };
  def.samples = {{"rows", {{{2, 2}, {1, 2, 3, 4}}}, along(0), {1, 2}},
                 {"columns", {{{2, 2}, {1, 2, 3, 4}}}, along(-1), {1, 3}},
                 {"scalars", {{{3}, {1, 2, 3}}}, along(0), {1}},
                 {"between", {{{2, 3, 2}}}, along(1)},
                 {"empty", {{{0, 2}}}, along(1)}};
  def.rejects = {
      {{{f32, {}}}, along(0), "axis 0 does not exist: x is a scalar"},
      {{{f32, {0, 2}}}, along(0), "axis 0 of [0, 2] has 0 elements; their number must be known and above 0"}};
  return def;
}

std::vector<Value> unstack(Operand x, int64_t axis) {
  const Value first = build("unstack", {x}, {{"axis", axis}});
  const auto count = first.graph().node(first.node()).outputs.size();
  std::vector<Value> parts;
  for (size_t i = 0; i < count; ++i) parts.push_back(output_of(first, static_cast<int32_t>(i)));
  return parts;
}

std::vector<Value> steps_of(Value sequence, std::span<const int64_t> wanted) {
  // More slices than this cost more than taking all steps apart at once.
  constexpr size_t few = 4;
  std::vector<Value> result;
  if (wanted.size() > few) {
    const std::vector<Value> all = unstack(sequence, 1);
    for (int64_t step : wanted) result.push_back(all[step]);
    return result;
  }
  Shape shape = sequence.shape();
  shape.erase(shape.begin() + 1);
  for (int64_t step : wanted) result.push_back(reshape(slice(sequence, 1, step, step + 1), shape));
  return result;
}

}  // namespace lariat
