#include <fmt/format.h>

#include <algorithm>

#include "frontends/export/c_op.hpp"
#include "ops/kernels/axes.hpp"

namespace lariat::to_c {

namespace {

std::vector<bool> reduced_axes(const Node& node, size_t rank) {
  return marked_axes(node.attributes.get<std::vector<int64_t>>("axes"), rank);
}

struct Reduction {
  std::string start, step, finish;
};

Reduction reduction_of(const std::string& op, int64_t count) {
  if (op == "sum") return {"0.0F", "value += x;", "value"};
  if (op == "mean") return {"0.0F", "value += x;", fmt::format("value / {}.0F", count)};
  if (op == "reduce_max") return {"-INFINITY", "if (x > value || x != x) value = x;", "value"};
  if (op == "norm2") return {"0.0F", "value += x * x;", "sqrtf(value)"};
  return {"0.0F", "if (fabsf(x) > value || x != x) value = fabsf(x);", "value"};  // norm_inf
}

void emit_reduction(CBlock& block, const CNode& node) {
  const CValue &x = node.inputs[0], &y = node.outputs[0];
  const std::vector<bool> reduced = reduced_axes(node.node, x.extents.size());
  std::vector<int64_t> strides(x.extents.size(), 1);
  for (size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * x.extents[i];
  std::vector<std::string> counters(x.extents.size());
  std::string to;
  int64_t count = 1, left = 1;
  for (size_t i = 0; i < reduced.size(); ++i) (reduced[i] ? count : left) *= x.extents[i];
  int loops = 0;
  int64_t stride = left;
  for (size_t i = 0; i < reduced.size(); ++i) {
    if (reduced[i]) continue;
    stride /= std::max<int64_t>(1, x.extents[i]);
    counters[i] = block.loop(x.extents[i]);
    ++loops;
    if (counters[i] == "0") continue;
    to +=
        (to.empty() ? "" : " + ") + (stride == 1 ? counters[i] : fmt::format("{} * {}", stride, counters[i]));
  }
  const Reduction parts = reduction_of(node.node.op->name, count);
  block.line("{");
  block.line(fmt::format("float value = {};", parts.start));
  int inner = 0;
  for (size_t i = 0; i < reduced.size(); ++i) {
    if (!reduced[i]) continue;
    counters[i] = block.loop(x.extents[i]);
    ++inner;
  }
  std::string from;
  for (size_t i = 0; i < counters.size(); ++i) {
    if (counters[i] == "0") continue;
    from += (from.empty() ? "" : " + ") +
            (strides[i] == 1 ? counters[i] : fmt::format("{} * {}", strides[i], counters[i]));
  }
  block.line("{");
  block.line(fmt::format("const float x = {};", block.element(x, from.empty() ? "0" : from)));
  block.line(parts.step);
  block.close();
  for (; inner > 0; --inner) block.end();
  block.line(fmt::format("{} = {};", block.element(y, to.empty() ? "0" : to), parts.finish));
  block.close();
  for (; loops > 0; --loops) block.end();
}

// Over each row of the last axis.
void emit_rows_of(CBlock& block, const CNode& node) {
  const CValue &x = node.inputs[0], &y = node.outputs[0];
  const int64_t width = x.extents.back(), rows = width == 0 ? 0 : x.count() / width;
  const std::string from = block.pointer(x), row = block.loop(rows);
  const auto at = [&](const std::string& pointer, int64_t step) {
    return row == "0" ? pointer : fmt::format("{} + {} * {}", pointer, step, row);
  };
  const std::string& op = node.node.op->name;
  if (op == "softmax") {
    block.line(fmt::format("{}({}, {}, {});", block.unit.helper("softmax"), at(y.pointer, width),
                           at(from, width), width));
  } else if (op == "argmax") {
    block.line(fmt::format("{} = {}({}, {});", block.element(y, row), block.unit.helper("argmax"),
                           at(from, width), width));
  } else if (op == "logsumexp") {
    block.line(fmt::format("{} = {}({}, {});", block.element(y, row), block.unit.helper("log_sum_exp"),
                           at(from, width), width));
  } else {  // log_softmax
    block.line("{");
    block.line(fmt::format("const float total = {}({}, {});", block.unit.helper("log_sum_exp"),
                           at(from, width), width));
    const std::string i = block.loop(width);
    block.line(fmt::format("({})[{}] = ({})[{}] - total;", at(y.pointer, width), i, at(from, width), i));
    block.end();
    block.close();
  }
  block.end();
}

// Frames are summed up as they come, or each by itself.
TimeUse reduction_time(const Node& node, const Graph& graph, const std::vector<bool>&) {
  const size_t rank = graph.type(node.inputs[0]).shape.size();
  const std::vector<bool> reduced = reduced_axes(node, rank);
  if (rank < 2 || reduced[0]) return {};
  if (!reduced[1]) return {TimeUse::frame};
  for (size_t i = 2; i < rank; ++i)
    if (reduced[i]) return {};
  const std::string& op = node.op->name;
  return {op == "sum" ? TimeUse::sum : op == "reduce_max" ? TimeUse::largest : TimeUse::whole};
}

TimeUse last_axis_time(const Node& node, const Graph& graph, const std::vector<bool>&) {
  return along(node, graph, -1);
}

int64_t reduction_axis(const Node& node, const Graph& graph, const std::vector<bool>&, int64_t axis) {
  const std::vector<bool> reduced = reduced_axes(node, graph.type(node.inputs[0]).shape.size());
  if (reduced[static_cast<size_t>(axis)]) return -1;
  const auto gone = std::count(reduced.begin(), reduced.begin() + axis, true);
  return node.outputs[0].shape.size() == reduced.size() ? axis : axis - gone;
}

COp reduction(std::string op) {
  return {.op = std::move(op),
          .emit = emit_reduction,
          .of_floats = true,
          .time = reduction_time,
          .axis_behind = reduction_axis};
}
COp rows_of(std::string op) {
  return {.op = std::move(op),
          .emit = emit_rows_of,
          .of_floats = true,
          .time = last_axis_time,
          .axis_behind = beside_last};
}

}  // namespace

std::vector<COp> c_ops::reduction() {
  std::vector<COp> ops;
  for (const char* op : {"sum", "mean", "reduce_max", "norm2", "norm_inf"})
    ops.push_back(to_c::reduction(op));
  for (const char* op : {"softmax", "log_softmax", "logsumexp", "argmax"}) ops.push_back(rows_of(op));
  return ops;
}

}  // namespace lariat::to_c
