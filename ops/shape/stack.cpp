#include <fmt/format.h>

#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace stack_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_one_dtype(c);
  for (size_t i = 1; i < c.size(); ++i)
    if (c.shape(i) != c.shape(0))
      c.fail(fmt::format("{} and {} cannot be stacked: all shapes must be equal", text(c.shape(0)),
                         text(c.shape(i))));
  Shape shape = c.shape(0);
  shape.emplace_back(0);
  const int64_t axis = checked_axis(c.attribute<int64_t>("axis"), shape);
  shape.pop_back();
  shape.insert(shape.begin() + axis, Dim(static_cast<int64_t>(c.size())));
  return {{c.in(0).dtype, shape}};
}

template <class Bits>
void forward(const KernelContext& k) {
  const AxisBlocks to = blocks_around(k.outputs[0].extents, k.attributes.get<int64_t>("axis"));
  if (k.outputs[0].count() == 0) return;
  k.parallel.run(to.outer, rows_per_task(to.extent * to.inner), [&](int64_t first, int64_t last) {
    for (int64_t o = first; o < last; ++o)
      for (int64_t i = 0; i < to.extent; ++i)
        std::copy_n(k.in<Bits>(i) + o * to.inner, to.inner, k.out<Bits>(0) + (o * to.extent + i) * to.inner);
  });
}

// What `value` is a step of: output `step` of an unstack along the axis, or a reshaped slice of one element.
Value sequence_of(Value value, int64_t axis, int64_t step) {
  const Node* node = &node_of(value);
  Graph& graph = value.graph();
  if (node->op->name == "unstack") {
    const Value whole = graph.value(node->inputs[0]);
    const int64_t given = node->attributes.get<int64_t>("axis");
    const bool fits = value.output() == step && (given < 0 ? given + whole.rank() : given) == axis;
    return fits ? whole : Value();
  }
  if (node->op->name != "reshape") return {};
  const Value sliced = graph.value(node->inputs[0]);
  node = &node_of(sliced);
  if (node->op->name != "slice" || node->attributes.get<int64_t>("axis") != axis ||
      !(sliced.shape()[axis] == Dim(1)) || !(node->attributes.get<Shape>("before")[0] == Dim(step)))
    return {};
  Shape without = sliced.shape();
  without.erase(without.begin() + axis);
  return without == value.shape() ? graph.value(node->inputs[0]) : Value();
}

}  // namespace stack_detail

// dxᵢ = the i-th part of dy.
OpDef records::stack() {
  using namespace stack_detail;
  OpDef def{.name = "stack",
            .doc = "Puts values of one shape side by side along an axis of their own.",
            .inputs = {{"values", "of one dtype and shape"}},
            .variadic = true,
            .outputs = {{"result", "the values along the new axis"}}};
  def.attributes = {
      {"axis", AttributeKind::integer, "the new axis; negative: counted from the result's last"}};
  def.traits.selection = true;
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<uint32_t>, forward<uint64_t>, forward<uint32_t>};
  def.vjp = [](const GradContext& g) -> Adjoints {
    return unstack(g.adjoint(0), g.attributes().get<int64_t>("axis"));
  };
  def.cost = streaming_cost<0>;
  const auto along = [](int64_t axis) -> Attributes { return {{"axis", axis}}; };
  def.samples = {{"rows", {{{2}, {1, 2}}, {{2}, {3, 4}}}, along(0), {1, 2, 3, 4}},
                 {"columns", {{{2}, {1, 2}}, {{2}, {3, 4}}}, along(-1), {1, 3, 2, 4}},
                 {"scalars", {{{}, {1}}, {{}, {2}}, {{}, {3}}}, along(0), {1, 2, 3}},
                 {"between", {{{2, 3}}, {{2, 3}}}, along(1)},
                 {"empty", {{{0, 2}}, {{0, 2}}}, along(1)}};
  def.rejects = {
      {{{f32, {2}}, {f32, {3}}}, along(0), "[2] and [3] cannot be stacked: all shapes must be equal"},
      {{{f32, {2}}, {f64, {2}}},
       along(0),
       "takes inputs of one dtype; got f32[2] and f64[2]. Use cast to convert one"}};
  return def;
}

Value stack(const std::vector<Value>& values, int64_t axis, std::source_location where) {
  using namespace stack_detail;
  std::vector<Operand> operands;
  for (Value value : values) operands.emplace_back(value, where);
  const bool built = std::all_of(values.begin(), values.end(), [](Value value) { return bool(value); });
  const Value first = values.empty() || !built ? Value() : sequence_of(values[0], axis, 0);
  bool is_whole = first && first.shape()[axis] == Dim(static_cast<int64_t>(values.size()));
  for (size_t i = 1; is_whole && i < values.size(); ++i)
    is_whole = is_same(sequence_of(values[i], axis, static_cast<int64_t>(i)), first);
  return is_whole ? first : build("stack", operands, {{"axis", axis}});
}

}  // namespace lariat
