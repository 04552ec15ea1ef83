#include <fmt/format.h>

#include "frontends/export/c_op.hpp"
#include "graph/base/error.hpp"

namespace lariat::to_c {

namespace {

// The state that broadcasts to [1, units].
void start_state(CBlock& block, const std::string& to, const CValue& state, int64_t units) {
  if (state.count() == units) return block.copy(to, state, "", units);
  const std::string i = block.loop(units);
  block.line(fmt::format("({})[{}] = {};", to, i, block.element(state, "0")));
  block.end();
}

// Scratch: the gates of a step, then the hidden state and the cell.
int64_t state_scratch(int64_t units) { return 6 * units; }

// One step from the gates that `before` leaves in scratch.
void step(CBlock& block, const CNode& node, const CValue& kernel, const std::string& hidden,
          const std::string& cell, int64_t units) {
  if (kernel.constant) {
    block.product(kernel, 1, hidden, node.scratch);
  } else {
    const std::string i = block.loop(units), j = block.loop(4 * units);
    block.line(fmt::format("({})[{}] += ({})[{}] * {};", node.scratch, j, hidden, i,
                           block.element(kernel, fmt::format("{} * {} + {}", 4 * units, i, j))));
    block.end();
    block.end();
  }
  block.line(fmt::format("{}({}, {}, {}, {}, {});", block.unit.helper("lstm_step"), node.scratch,
                         literal(static_cast<float>(node.attribute<double>("forget_bias"))), cell, hidden,
                         units));
}

bool is_ones(const Tensor& tensor) {
  for (int64_t i = 0; i < tensor.count(); ++i)
    if (tensor.at(i) != 1) return false;
  return true;
}

// Lengths and a mask that are scalars, or ones, change nothing.
void check_all_steps(const CNode& node) {
  const CValue &lengths = node.inputs[4], &mask = node.inputs[5];
  if (!lengths.extents.empty())
    throw UserError(fmt::format("{}has no form in C with lengths; leave them out", place_of(node.node)));
  if (!mask.extents.empty() && !(mask.constant && is_ones(*mask.constant)))
    throw UserError(
        fmt::format("{}has no form in C with a recurrent_mask; leave it out", place_of(node.node)));
}

// Inputs: projected [1, time, 4·units], recurrent kernel, initial hidden state and cell, lengths, mask.
void emit_sequence(CBlock& block, const CNode& node) {
  check_all_steps(node);
  const CValue &projected = node.inputs[0], &hidden_states = node.outputs[0], &cells = node.outputs[1];
  const int64_t units = node.inputs[1].extents[0], steps = projected.extents[1];
  const std::string hidden = fmt::format("{} + {}", node.scratch, 4 * units),
                    cell = fmt::format("{} + {}", node.scratch, 5 * units);
  start_state(block, hidden, node.inputs[2], units);
  start_state(block, cell, node.inputs[3], units);
  const std::string t = block.loop(steps);
  block.copy(node.scratch, projected, t == "0" ? "" : fmt::format("{} * {}", 4 * units, t), 4 * units);
  step(block, node, node.inputs[1], hidden, cell, units);
  const auto keep = [&](const CValue& states, const std::string& state) {
    if (states.pointer.empty()) return;
    const std::string at = t == "0" ? states.pointer : fmt::format("{} + {} * {}", states.pointer, units, t);
    block.line(fmt::format("{}({}, {}, {});", block.unit.helper("copy"), at, state, units));
  };
  keep(hidden_states, hidden);
  keep(cells, cell);
  block.end();
}

int64_t sequence_scratch(const CNode& node) { return state_scratch(node.inputs[1].extents[0]); }

std::vector<COp::Weights> recurrent_kernel(const Node&) { return {{1, 1}}; }

// Inputs: x, hidden, cell, input kernel, recurrent kernel, bias.
void emit_cell(CBlock& block, const CNode& node) {
  const int64_t units = node.inputs[1].extents[1], width = node.inputs[0].extents[1];
  const std::string hidden = fmt::format("{} + {}", node.scratch, 4 * units),
                    cell = fmt::format("{} + {}", node.scratch, 5 * units);
  start_state(block, hidden, node.inputs[1], units);
  start_state(block, cell, node.inputs[2], units);
  block.copy(node.scratch, node.inputs[5], "", 4 * units);
  if (node.inputs[3].constant) {
    block.product(node.inputs[3], 1, block.pointer(node.inputs[0]), node.scratch);
  } else {
    const std::string i = block.loop(width), j = block.loop(4 * units);
    block.line(fmt::format("({})[{}] += {} * {};", node.scratch, j, block.element(node.inputs[0], i),
                           block.element(node.inputs[3], fmt::format("{} * {} + {}", 4 * units, i, j))));
    block.end();
    block.end();
  }
  step(block, node, node.inputs[4], hidden, cell, units);
  if (!node.outputs[0].pointer.empty())
    block.line(
        fmt::format("{}({}, {}, {});", block.unit.helper("copy"), node.outputs[0].pointer, hidden, units));
  if (!node.outputs[1].pointer.empty())
    block.line(
        fmt::format("{}({}, {}, {});", block.unit.helper("copy"), node.outputs[1].pointer, cell, units));
}

int64_t cell_scratch(const CNode& node) { return state_scratch(node.inputs[1].extents[1]); }

std::vector<COp::Weights> cell_kernels(const Node&) { return {{3, 1}, {4, 1}}; }

TimeUse sequence_time(const Node&, const Graph&, const std::vector<bool>& streams) {
  return {streams[1] || streams[2] || streams[3] ? TimeUse::whole : TimeUse::recurrence};
}

}  // namespace

std::vector<COp> c_ops::recurrent() {
  return {{.op = "lstm_sequence",
           .emit = emit_sequence,
           .scratch = sequence_scratch,
           .weights = recurrent_kernel,
           .time = sequence_time},
          {.op = "lstm_cell", .emit = emit_cell, .scratch = cell_scratch, .weights = cell_kernels}};
}

}  // namespace lariat::to_c
