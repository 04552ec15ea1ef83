#include <fmt/format.h>

#include "frontends/export/c_op.hpp"

namespace lariat::to_c {

namespace {

bool is_transposed(const Node& node, const char* name) { return node.attributes.get<bool>(name); }

std::vector<COp::Weights> right_matrix(const Node& node) {
  return {{1, is_transposed(node, "transpose_b") ? 0 : 1}};
}

// A constant matrix on the right: each row of a by it. Its channels are the columns of the result.
void emit_rows(CBlock& block, const CNode& node) {
  const CValue &a = node.inputs[0], &b = node.inputs[1], &y = node.outputs[0];
  const int64_t n = y.extents.back(), k = a.extents.back(), rows = n == 0 ? 0 : y.count() / n;
  const std::string from = block.pointer(a), row = block.loop(rows);
  const auto at = [&](const std::string& pointer, int64_t width) {
    return row == "0" ? pointer : fmt::format("{} + {} * {}", pointer, width, row);
  };
  const std::string to = at(y.pointer, n);
  if (node.inputs.size() < 3) {
    block.clear(to, n);
  } else {
    const bool same = node.inputs[2].extents.size() == 1 || row == "0";
    block.copy(to, node.inputs[2], same ? "" : fmt::format("{} * {}", n, row), n);
  }
  block.product(b, is_transposed(node.node, "transpose_b") ? 0 : 1, at(from, k), to);
  block.end();
}

void emit_product(CBlock& block, const CNode& node) {
  const CValue &a = node.inputs[0], &b = node.inputs[1], &y = node.outputs[0];
  const bool transpose_a = is_transposed(node.node, "transpose_a"),
             transpose_b = is_transposed(node.node, "transpose_b");
  if (b.constant && b.extents.size() == 2 && !transpose_a) return emit_rows(block, node);
  const auto last = [](const CValue& value, size_t from_end) {
    return value.extents[value.extents.size() - from_end];
  };
  const int64_t m = last(y, 2), n = last(y, 1), k = last(a, transpose_a ? 2 : 1);
  const std::string left = block.pointer(a), right = block.pointer(b);
  const std::string batch = block.loop(m * n == 0 ? 0 : y.count() / (m * n));
  const auto at = [&](const std::string& pointer, int64_t step) {
    return batch == "0" || step == 0 ? pointer : fmt::format("{} + {} * {}", pointer, step, batch);
  };
  block.line(fmt::format("{}({}, {}, {}, {}, {}, {}, {}, {}, {}, {});", block.unit.helper("any_product"),
                         at(left, m * k), transpose_a ? 1 : k, transpose_a ? m : 1,
                         at(right, b.extents.size() == 2 ? 0 : k * n), transpose_b ? 1 : n,
                         transpose_b ? k : 1, at(y.pointer, m * n), m, k, n));
  block.end();
  if (node.inputs.size() < 3) return;
  const CValue& addend = node.inputs[2];
  const int64_t rows = addend.extents.size() == 1 ? y.count() / n : 1;
  const std::string row = block.loop(rows), column = block.loop(y.count() / rows);
  const std::string index = row == "0" ? column : fmt::format("{} * {} + {}", n, row, column);
  block.line(fmt::format("{} += {};", block.element(y, index), block.element(addend, column)));
  block.end();
  block.end();
}

TimeUse product_time(const Node& node, const Graph& graph, const std::vector<bool>& streams) {
  const bool rows = streams[0] && !streams[1] && !node.attributes.get<bool>("transpose_a") &&
                    graph.type(node.inputs[1]).shape.size() == 2;
  return {rows ? TimeUse::frame : TimeUse::whole};
}

int64_t product_axis(const Node& node, const Graph& graph, const std::vector<bool>& streams, int64_t axis) {
  const bool frames = product_time(node, graph, streams).kind == TimeUse::frame;
  return frames && !streams.back() ? beside_last(node, graph, streams, axis) : -1;
}

COp product(std::string name) {
  return {.op = std::move(name),
          .emit = emit_product,
          .weights = right_matrix,
          .time = product_time,
          .axis_behind = product_axis};
}

}  // namespace

std::vector<COp> c_ops::product() { return {to_c::product("matmul"), to_c::product("matmul_add")}; }

}  // namespace lariat::to_c
