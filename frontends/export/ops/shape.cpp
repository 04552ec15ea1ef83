#include <fmt/format.h>

#include "frontends/export/c_op.hpp"
#include "graph/base/error.hpp"
#include "ops/elementwise/margins.hpp"
#include "ops/kernels/axes.hpp"

namespace lariat::to_c {

namespace {

// Σ strides·counters + offset.
std::string place(const std::vector<std::string>& counters, const std::vector<int64_t>& strides,
                  int64_t offset = 0) {
  std::string text;
  for (size_t i = 0; i < counters.size(); ++i) {
    if (counters[i] == "0" || strides[i] == 0) continue;
    if (!text.empty()) text += " + ";
    text += strides[i] == 1 ? counters[i] : fmt::format("{} * {}", strides[i], counters[i]);
  }
  if (offset != 0 || text.empty())
    text += text.empty() ? fmt::format("{}", offset) : fmt::format(" + {}", offset);
  return text;
}

std::vector<int64_t> strides_of(const Extents& extents) {
  std::vector<int64_t> strides(extents.size(), 1);
  for (size_t i = extents.size(); i-- > 1;) strides[i - 1] = strides[i] * extents[i];
  return strides;
}

// y[places of to] = x[places of from], over loops of `extents`.
void move(CBlock& block, const Extents& extents, const CValue& x, const std::vector<int64_t>& from,
          int64_t from_offset, const CValue& y, const std::vector<int64_t>& to, int64_t to_offset) {
  std::vector<std::string> counters;
  for (const int64_t extent : extents) counters.push_back(block.loop(extent));
  block.line(fmt::format("{} = {};", block.element(y, place(counters, to, to_offset)),
                         block.element(x, place(counters, from, from_offset))));
  for (size_t i = 0; i < extents.size(); ++i) block.end();
}

void emit_transpose(CBlock& block, const CNode& node) {
  const CValue &x = node.inputs[0], &y = node.outputs[0];
  const auto& permutation = node.attribute<std::vector<int64_t>>("permutation");
  const std::vector<int64_t> strides = strides_of(x.extents);
  std::vector<int64_t> from;
  for (const int64_t axis : permutation)
    from.push_back(
        strides[static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(strides.size()) : axis)]);
  move(block, y.extents, x, from, 0, y, strides_of(y.extents), 0);
}

void emit_slice(CBlock& block, const CNode& node) {
  const CValue &x = node.inputs[0], &y = node.outputs[0];
  const int64_t axis = node.attribute<int64_t>("axis"), step = node.attribute<int64_t>("step");
  const AxisBlocks from = blocks_around(x.extents, axis), to = blocks_around(y.extents, axis);
  const int64_t begin = front_margin(node.node.attributes, from.extent, to.extent);
  move(block, {to.outer, to.extent, to.inner}, x, {from.extent * from.inner, step * from.inner, 1},
       begin * from.inner, y, {to.extent * to.inner, to.inner, 1}, 0);
}

void emit_pad(CBlock& block, const CNode& node) {
  const CValue &x = node.inputs[0], &y = node.outputs[0];
  const int64_t axis = node.attribute<int64_t>("axis"), step = node.attribute<int64_t>("step");
  const AxisBlocks from = blocks_around(x.extents, axis), to = blocks_around(y.extents, axis);
  const int64_t before = front_margin(node.node.attributes, to.extent, from.extent);
  const std::string i = block.loop(y.count());
  block.line(fmt::format("{} = 0;", block.element(y, i)));
  block.end();
  // Negative margins cut: what of the axis is left.
  const int64_t first = before < 0 ? (-before + step - 1) / step : 0;
  const int64_t behind = std::min(from.extent, (to.extent - before + step - 1) / step);
  if (behind <= first) return;
  move(block, {from.outer, behind - first, from.inner}, x, {from.extent * from.inner, from.inner, 1},
       first * from.inner, y, {to.extent * to.inner, step * to.inner, 1}, (before + first * step) * to.inner);
}

void emit_concat(CBlock& block, const CNode& node) {
  const CValue& y = node.outputs[0];
  const int64_t axis = node.attribute<int64_t>("axis");
  const AxisBlocks to = blocks_around(y.extents, axis);
  int64_t begin = 0;
  for (const CValue& x : node.inputs) {
    const AxisBlocks from = blocks_around(x.extents, axis);
    move(block, {from.outer, from.extent * from.inner}, x, {from.extent * from.inner, 1}, 0, y,
         {to.extent * to.inner, 1}, begin);
    begin += from.extent * from.inner;
  }
}

void emit_broadcast(CBlock& block, const CNode& node) {
  const CValue &x = node.inputs[0], &y = node.outputs[0];
  const std::vector<int64_t> strides = strides_of(x.extents);
  std::vector<int64_t> from(y.extents.size(), 0);
  const size_t more = y.extents.size() - x.extents.size();
  for (size_t i = 0; i < strides.size(); ++i) from[more + i] = x.extents[i] == 1 ? 0 : strides[i];
  move(block, y.extents, x, from, 0, y, strides_of(y.extents), 0);
}

void emit_stack(CBlock& block, const CNode& node) {
  const CValue& y = node.outputs[0];
  const AxisBlocks to = blocks_around(y.extents, node.attribute<int64_t>("axis"));
  for (size_t i = 0; i < node.inputs.size(); ++i)
    move(block, {to.outer, to.inner}, node.inputs[i], {to.inner, 1}, 0, y, {to.extent * to.inner, 1},
         static_cast<int64_t>(i) * to.inner);
}

void emit_unstack(CBlock& block, const CNode& node) {
  const CValue& x = node.inputs[0];
  const AxisBlocks from = blocks_around(x.extents, node.attribute<int64_t>("axis"));
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (!node.outputs[i].pointer.empty())
      move(block, {from.outer, from.inner}, x, {from.extent * from.inner, 1},
           static_cast<int64_t>(i) * from.inner, node.outputs[i], {from.inner, 1}, 0);
}

// A table in 8 bits has a scale for each row.
void emit_gather_rows(CBlock& block, const CNode& node) {
  const CValue &table = node.inputs[0], &indices = node.inputs[1], &y = node.outputs[0];
  const int64_t rows = table.extents[0], width = blocks_around(table.extents, 0).inner;
  const std::string i = block.loop(indices.count());
  block.line("{");
  block.line(fmt::format("const int32_t row = {};", block.element(indices, i)));
  block.refuse_if(fmt::format("row < 0 || row >= {}", rows));
  const std::string j = block.loop(width);
  const std::string to = block.element(y, i == "0" ? j : fmt::format("{} * {} + {}", width, i, j)),
                    at = fmt::format("row * {} + {}", width, j);
  const QuantisedMatrix* levels = table.constant ? block.quantisation.matrix(*table.constant) : nullptr;
  if (levels && levels->axis == 0) {
    block.line(fmt::format("{} = (float){}[{}] * {}({}[row], {});", to,
                           block.unit.constant(std::span<const int8_t>(levels->levels)), at,
                           block.unit.helper("channel_scale"),
                           block.unit.constant(std::span<const uint8_t>(levels->codes)), levels->base));
  } else {
    block.line(fmt::format("{} = {};", to, block.element(table, at)));
  }
  block.end();
  block.close();
  block.end();
}

void emit_gather_steps(CBlock& block, const CNode& node) {
  const CValue &x = node.inputs[0], &indices = node.inputs[1], &y = node.outputs[0];
  const int64_t steps = y.extents[1], channels = y.extents[2];
  const std::string i = block.loop(steps), j = block.loop(channels);
  const std::string at = i == "0" ? j : fmt::format("{} * {} + {}", channels, i, j);
  block.line("{");
  block.line(fmt::format("const int32_t step = {};", block.element(indices, at)));
  block.refuse_if(fmt::format("step < 0 || step >= {}", x.extents[1]));
  block.line(fmt::format("{} = {};", block.element(y, at),
                         block.element(x, fmt::format("step * {} + {}", channels, j))));
  block.close();
  block.end();
  block.end();
}

void emit_one_hot(CBlock& block, const CNode& node) {
  const CValue &labels = node.inputs[0], &y = node.outputs[0];
  const int64_t classes = y.extents.back();
  const std::string i = block.loop(labels.count());
  block.refuse_if(fmt::format("{0} < 0 || {0} >= {1}", block.element(labels, i), classes));
  const std::string j = block.loop(classes);
  block.line(fmt::format("{} = {} == {};",
                         block.element(y, i == "0" ? j : fmt::format("{} * {} + {}", classes, i, j)),
                         block.element(labels, i), j));
  block.end();
  block.end();
}

bool keeps_frames(const Shape& from, const Shape& to) {
  return from.size() > 1 && to.size() > 1 && from[0] == to[0] && from[1] == to[1];
}

// Frames stay, or so many of them become one.
TimeUse reshape_time(const Node& node, const Graph& graph, const std::vector<bool>&) {
  const Shape &from = graph.type(node.inputs[0]).shape, &to = node.outputs[0].shape;
  if (keeps_frames(from, to)) return {TimeUse::frame};
  if (from.size() < 2 || to.size() < 2 || !(from[0] == to[0])) return {};
  const auto width = [](const Shape& shape) { return element_count(Shape(shape.begin() + 2, shape.end())); };
  const Dim before = width(from), after = width(to);
  if (!before.known() || !after.known() || before.size() == 0 || after.size() % before.size() != 0) return {};
  const int64_t n = after.size() / before.size();
  if (n < 2 || !(to[1] * Dim(n) == from[1])) return {};
  return {TimeUse::window, {.kernel = n, .stride = n}};
}

TimeUse transpose_time(const Node& node, const Graph&, const std::vector<bool>&) {
  const auto& permutation = node.attributes.get<std::vector<int64_t>>("permutation");
  return {permutation.size() > 1 && permutation[0] == 0 && permutation[1] == 1 ? TimeUse::frame
                                                                               : TimeUse::whole};
}

TimeUse along_axis(const Node& node, const Graph& graph, const std::vector<bool>&) {
  return along(node, graph, node.attributes.get<int64_t>("axis"));
}

TimeUse pad_time(const Node& node, const Graph& graph, const std::vector<bool>& streams) {
  const int64_t axis = checked_axis(node.attributes.get<int64_t>("axis"), graph.type(node.inputs[0]).shape);
  if (axis != 1) return along_axis(node, graph, streams);
  const Dim before = node.attributes.get<Shape>("before")[0], after = node.attributes.get<Shape>("after")[0];
  if (!before.known() || !after.known() || before.size() < 0 || after.size() < 0 ||
      node.attributes.get<int64_t>("step") != 1)
    return {};
  return {TimeUse::window, {.before = before.size(), .after = after.size()}};
}

TimeUse slice_time(const Node& node, const Graph& graph, const std::vector<bool>& streams) {
  const int64_t axis = checked_axis(node.attributes.get<int64_t>("axis"), graph.type(node.inputs[0]).shape);
  if (axis != 1) return along_axis(node, graph, streams);
  const bool from_first =
      node.attributes.get<Shape>("before")[0] == Dim(0) && node.attributes.get<int64_t>("step") == 1;
  return {from_first ? TimeUse::cut : TimeUse::whole};
}

TimeUse broadcast_time(const Node& node, const Graph& graph, const std::vector<bool>&) {
  return {keeps_frames(graph.type(node.inputs[0]).shape, node.outputs[0].shape) ? TimeUse::frame
                                                                                : TimeUse::whole};
}

TimeUse rows_time(const Node&, const Graph&, const std::vector<bool>& streams) {
  return {streams[0] ? TimeUse::whole : TimeUse::frame};
}

TimeUse steps_time(const Node&, const Graph&, const std::vector<bool>& streams) {
  return {streams[0] && !streams[1] ? TimeUse::last : TimeUse::whole};
}

TimeUse each_frame(const Node&, const Graph&, const std::vector<bool>&) { return {TimeUse::frame}; }

// Frames become rows, [batch·time, …], and rows frames.
int64_t reshape_axis(const Node& node, const Graph& graph, const std::vector<bool>&, int64_t axis) {
  const Shape &from = graph.type(node.inputs[0]).shape, &to = node.outputs[0].shape;
  if (axis == 1) return to.empty() || !(to[0] == from[0] * from[1]) || from[0] == to[0] ? 1 : 0;
  if (axis != 0 || to.empty()) return -1;
  if (to[0] == from[0]) return 0;
  return to.size() > 1 && to[0] * to[1] == from[0] ? 1 : -1;
}

int64_t transpose_axis(const Node& node, const Graph&, const std::vector<bool>&, int64_t axis) {
  const auto& permutation = node.attributes.get<std::vector<int64_t>>("permutation");
  const auto rank = std::ssize(permutation);
  for (int64_t to = 0; to < rank; ++to) {
    const int64_t from = permutation[static_cast<size_t>(to)];
    if ((from < 0 ? from + rank : from) == axis) return to;
  }
  return -1;
}

// Of a table that is made of frames the rows are taken that are asked for, not the frames.
int64_t rows_axis(const Node& node, const Graph& graph, const std::vector<bool>& streams, int64_t axis) {
  if (!streams[0]) return axis;
  const auto more = std::ssize(graph.type(node.inputs[1]).shape) - 1;
  return streams[1] || axis == 0 ? -1 : axis + more;
}

std::vector<COp::Weights> table(const Node&) { return {{0, 0}}; }

// The memory is the input's.
void emit_nothing(CBlock&, const CNode&) {}

}  // namespace

std::vector<COp> c_ops::shape() {
  return {{.op = "reshape", .emit = emit_nothing, .time = reshape_time, .axis_behind = reshape_axis},
          {.op = "transpose", .emit = emit_transpose, .time = transpose_time, .axis_behind = transpose_axis},
          {.op = "slice", .emit = emit_slice, .time = slice_time, .axis_behind = beside_axis},
          {.op = "pad", .emit = emit_pad, .time = pad_time, .axis_behind = beside_axis},
          {.op = "concat", .emit = emit_concat, .time = along_axis, .axis_behind = beside_axis},
          {.op = "broadcast_to", .emit = emit_broadcast, .time = broadcast_time},
          {.op = "stack", .emit = emit_stack},
          {.op = "unstack", .emit = emit_unstack},
          {.op = "gather_rows",
           .emit = emit_gather_rows,
           .weights = table,
           .time = rows_time,
           .axis_behind = rows_axis},
          {.op = "gather_steps", .emit = emit_gather_steps, .time = steps_time},
          {.op = "one_hot", .emit = emit_one_hot, .time = each_frame}};
}

}  // namespace lariat::to_c
