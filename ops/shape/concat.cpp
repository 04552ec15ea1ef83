#include <fmt/format.h>

#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace concat_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_one_dtype(c);
  Shape shape = c.shape(0);
  const int64_t axis = checked_axis(c.attribute<int64_t>("axis"), shape);
  for (size_t i = 1; i < c.size(); ++i) {
    Shape other = c.shape(i);
    const Dim size = other.size() == shape.size() ? other[axis] : Dim(0);
    if (other.size() == shape.size()) other[axis] = shape[axis];
    if (other != shape)
      c.fail(fmt::format("{} and {} cannot be joined along axis {}: all other dimensions must be equal",
                         text(c.shape(0)), text(c.shape(i)), axis));
    shape[axis] = shape[axis] + size;
  }
  return {{c.in(0).dtype, shape}};
}

template <class Bits>
void forward(const KernelContext& k) {
  const int64_t axis = k.attributes.get<int64_t>("axis");
  const AxisBlocks to = blocks_around(k.outputs[0].extents, axis);
  if (k.outputs[0].count() == 0) return;
  const int64_t width = to.extent * to.inner;
  k.parallel.run(to.outer, rows_per_task(width), [&](int64_t first, int64_t last) {
    Bits* out = k.out<Bits>(0);
    for (size_t i = 0; i < k.inputs.size(); ++i) {
      const int64_t piece = blocks_around(k.inputs[i].extents, axis).extent * to.inner;
      for (int64_t o = first; o < last; ++o) std::copy_n(k.in<Bits>(i) + o * piece, piece, out + o * width);
      out += piece;
    }
  });
}

// Each input gets its piece. A piece that starts at a size unknown before the run is the head of what is left
// after the pieces before it.
Adjoints vjp(const GradContext& g) {
  const int64_t given = g.attributes().get<int64_t>("axis");
  const int64_t axis = given < 0 ? given + g.in(0).rank() : given;
  Adjoints result;
  Value rest = g.adjoint(0);
  Dim begin = 0;
  for (size_t i = 0; i < g.input_count(); ++i) {
    const Dim size = g.in(i).shape()[axis], total = rest.shape()[axis];
    if (!begin.known()) {
      rest = slice(rest, axis, begin, total);
      begin = 0;
    }
    result.push_back(g.needs(i) ? slice(rest, axis, begin, begin + size) : Value());
    begin = begin + size;
  }
  return result;
}

}  // namespace concat_detail

OpDef records::concat() {
  using namespace concat_detail;
  OpDef def{.name = "concat",
            .doc = "Joins values along one axis.",
            .inputs = {{"values", "of one dtype and, but for the axis, one shape"}},
            .outputs = {{"result", "as long along the axis as all values together"}}};
  def.variadic = true;
  def.attributes = {{"axis", AttributeKind::integer, "the axis; negative: counted from the last"}};
  def.traits.selection = true;
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<uint32_t>, forward<uint64_t>, forward<uint32_t>};
  def.vjp = vjp;
  def.cost = streaming_cost<0>;
  const auto along = [](int64_t axis) -> Attributes { return {{"axis", axis}}; };
  def.samples = {
      {"columns", {{{2, 1}, {1, 2}}, {{2, 2}, {3, 4, 5, 6}}}, along(1), {1, 3, 4, 2, 5, 6}},
      {"rows", {{{1, 2}, {1, 2}}, {{2, 2}, {3, 4, 5, 6}}}, along(-2), {1, 2, 3, 4, 5, 6}},
      {"one", {{{3}, {1, 2, 3}}}, along(0), {1, 2, 3}},
      {"one empty", {{{0}}, {{2}, {1, 2}}}, along(0), {1, 2}},
      {"integers",
       {{.extents = {1}, .values = {7}, .dtype = i32}, {.extents = {1}, .values = {8}, .dtype = i32}},
       along(0),
       {7, 8}},
      {"three of three axes", {{{2, 1, 3}}, {{2, 3, 3}}, {{2, 2, 3}}}, along(1)},
      {"no rows", {{{0, 2}}, {{0, 1}}}, along(1)}};
  def.rejects = {{{{f32, {2, 3}}, {f32, {3, 3}}},
                  along(1),
                  "[2, 3] and [3, 3] cannot be joined along axis 1: all other dimensions must be equal"},
                 {{{f32, {2}}, {f64, {2}}},
                  along(0),
                  "takes inputs of one dtype; got f32[2] and f64[2]. Use cast to convert one"},
                 {{{f32, {}}}, along(0), "axis 0 does not exist: x is a scalar"}};
  return def;
}

Value concat(const std::vector<Value>& values, int64_t axis, std::source_location where) {
  std::vector<Operand> operands;
  for (Value value : values) operands.emplace_back(value, where);
  return build("concat", operands, {{"axis", axis}});
}

}  // namespace lariat
