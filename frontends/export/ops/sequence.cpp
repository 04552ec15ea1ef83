#include <fmt/format.h>

#include "frontends/export/c_op.hpp"
#include "ops/kernels/axes.hpp"

namespace lariat::to_c {

namespace {

void emit_mask(CBlock& block, const CNode& node) {
  const CValue &lengths = node.inputs[0], &y = node.outputs[0];
  const std::string t = block.loop(y.count());
  block.line(fmt::format("{} = {} < {};", block.element(y, t), t, block.element(lengths, "0")));
  block.end();
}

void emit_reverse(CBlock& block, const CNode& node) {
  const CValue &x = node.inputs[0], &lengths = node.inputs[1], &y = node.outputs[0];
  const auto [outer, steps, width] = blocks_around(x.extents, 1);
  const std::string t = block.loop(steps), i = block.loop(width);
  block.line("{");
  block.line(fmt::format("const int32_t length = {};", block.element(lengths, "0")));
  block.line(fmt::format("const int32_t from = {0} < length ? length - 1 - {0} : {0};", t));
  block.line(fmt::format("{} = {};", block.element(y, fmt::format("{} * {} + {}", width, t, i)),
                         block.element(x, fmt::format("{} * from + {}", width, i))));
  block.close();
  block.end();
  block.end();
}

// The number of elements is known when C is written.
void emit_count(CBlock& block, const CNode& node) {
  const std::vector<bool> counted =
      marked_axes(node.attribute<std::vector<int64_t>>("axes"), node.inputs[0].extents.size());
  int64_t count = 1;
  for (size_t i = 0; i < counted.size(); ++i)
    if (counted[i]) count *= node.inputs[0].extents[i];
  block.line(fmt::format("{} = {};", block.element(node.outputs[0], "0"), count));
}

TimeUse mask_time(const Node&, const Graph&, const std::vector<bool>& streams) {
  return {streams[0] ? TimeUse::whole : TimeUse::mask};
}

}  // namespace

std::vector<COp> c_ops::sequence() {
  return {{.op = "sequence_mask", .emit = emit_mask, .time = mask_time},
          {.op = "reverse_sequence", .emit = emit_reverse},
          {.op = "element_count", .emit = emit_count}};
}

}  // namespace lariat::to_c
