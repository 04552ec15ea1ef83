#include <fmt/format.h>

#include <algorithm>

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

// to[j] += Σ state·kernel[:, j] of all gates' columns.
void recurrent_product(CBlock& block, const CValue& kernel, const std::string& state, const std::string& to) {
  if (kernel.constant) return block.product(kernel, 1, state, to);
  const int64_t units = kernel.extents[0], wide = kernel.extents[1];
  const std::string i = block.loop(units), j = block.loop(wide);
  block.line(fmt::format("({})[{}] += ({})[{}] * {};", to, j, state, i,
                         block.element(kernel, fmt::format("{} * {} + {}", wide, i, j))));
  block.end();
  block.end();
}

// One step from the gates that `before` leaves in scratch.
void step(CBlock& block, const CNode& node, const CValue& kernel, const std::string& hidden,
          const std::string& cell, int64_t units) {
  recurrent_product(block, kernel, hidden, node.scratch);
  block.line(fmt::format("{}({}, {}, {}, {}, {});", block.unit.helper("lstm_step"), node.scratch,
                         literal(static_cast<float>(node.attribute<double>("forget_bias"))), cell, hidden,
                         units));
}

bool is_ones(const Tensor& tensor) {
  for (int64_t i = 0; i < tensor.count(); ++i)
    if (tensor.at(i) != 1) return false;
  return true;
}

// Lengths that are a scalar change nothing.
void check_all_steps(const CNode& node, size_t lengths_input) {
  if (!node.inputs[lengths_input].extents.empty())
    throw UserError(fmt::format("{}has no form in C with lengths; leave them out", place_of(node.node)));
}

// Nor does a mask that is a scalar, or ones.
void check_recurrent_mask(const CNode& node, size_t mask_input) {
  const CValue& mask = node.inputs[mask_input];
  if (!mask.extents.empty() && !(mask.constant && is_ones(*mask.constant)))
    throw UserError(
        fmt::format("{}has no form in C with a recurrent_mask; leave it out", place_of(node.node)));
}

// The states of step `t` in an output that somebody reads.
void keep_states(CBlock& block, const CValue& states, const std::string& t, const std::string& state,
                 int64_t units) {
  if (states.pointer.empty()) return;
  const std::string at = t == "0" ? states.pointer : fmt::format("{} + {} * {}", states.pointer, units, t);
  block.line(fmt::format("{}({}, {}, {});", block.unit.helper("copy"), at, state, units));
}

// Frame `t` of projected [1, time, wide] in `to`.
void take_projected(CBlock& block, const CValue& projected, const std::string& t, const std::string& to) {
  const int64_t wide = projected.extents[2];
  block.copy(to, projected, t == "0" ? "" : fmt::format("{} * {}", wide, t), wide);
}

// The statements of step `t` where the sequence has it: behind its end states stay.
template <class Body>
void where_alive(CBlock& block, const CValue& lengths, const std::string& t, const Body& body) {
  const bool asks = !lengths.extents.empty();
  if (asks) block.line(fmt::format("if ({} < {}) {{", t, block.element(lengths, "0")));
  body();
  if (asks) block.close();
}

// Inputs: projected [1, time, 4·units], recurrent kernel, initial hidden state and cell, lengths, mask.
void emit_sequence(CBlock& block, const CNode& node) {
  check_all_steps(node, 4);
  check_recurrent_mask(node, 5);
  const int64_t units = node.inputs[1].extents[0];
  const std::string hidden = fmt::format("{} + {}", node.scratch, 4 * units),
                    cell = fmt::format("{} + {}", node.scratch, 5 * units);
  start_state(block, hidden, node.inputs[2], units);
  start_state(block, cell, node.inputs[3], units);
  const std::string t = block.loop(node.inputs[0].extents[1]);
  take_projected(block, node.inputs[0], t, node.scratch);
  step(block, node, node.inputs[1], hidden, cell, units);
  keep_states(block, node.outputs[0], t, hidden, units);
  keep_states(block, node.outputs[1], t, cell, units);
  block.end();
}

// Inputs: projected [1, time, 3·units], recurrent kernel, initial hidden state, lengths, mask, the
// candidate's bias. Scratch: the gates of a step, what the recurrent kernel gives, the hidden state, and r·h
// where the reset gate comes before the product.
void emit_gru_sequence(CBlock& block, const CNode& node) {
  check_recurrent_mask(node, 4);
  const int64_t units = node.inputs[1].extents[0];
  const bool after = node.attribute<bool>("reset_after");
  const CValue &kernel = node.inputs[1], &bias = node.inputs[5];
  const std::string gates = node.scratch, recurrent = fmt::format("{} + {}", node.scratch, 3 * units),
                    hidden = fmt::format("{} + {}", node.scratch, 6 * units),
                    kept = fmt::format("{} + {}", node.scratch, 7 * units),
                    of_candidate = fmt::format("{} + {}", node.scratch, 5 * units);
  start_state(block, hidden, node.inputs[2], units);
  const std::string t = block.loop(node.inputs[0].extents[1]);
  where_alive(block, node.inputs[3], t, [&] {
    take_projected(block, node.inputs[0], t, gates);
    block.clear(recurrent, (after ? 2 : 3) * units);
    if (after) block.copy(of_candidate, bias, "", units);
    recurrent_product(block, kernel, hidden, recurrent);
    if (!after) {
      block.line(fmt::format("{}({}, {}, {}, {}, {});", block.unit.helper("gru_gates"), gates, recurrent,
                             hidden, kept, units));
      block.clear(recurrent, 2 * units);
      block.copy(of_candidate, bias, "", units);
      recurrent_product(block, kernel, kept, recurrent);
    }
    block.line(fmt::format("{}({}, {}, {}, {});", block.unit.helper(after ? "gru_step" : "gru_candidate"),
                           gates, recurrent, hidden, units));
  });
  keep_states(block, node.outputs[0], t, hidden, units);
  block.end();
}

// Inputs: projected [1, time, units], recurrent kernel, initial hidden state, lengths, mask.
void emit_simple_rnn_sequence(CBlock& block, const CNode& node) {
  check_recurrent_mask(node, 4);
  const int64_t units = node.inputs[1].extents[0];
  const std::string hidden = fmt::format("{} + {}", node.scratch, units);
  start_state(block, hidden, node.inputs[2], units);
  const std::string t = block.loop(node.inputs[0].extents[1]);
  where_alive(block, node.inputs[3], t, [&] {
    take_projected(block, node.inputs[0], t, node.scratch);
    recurrent_product(block, node.inputs[1], hidden, node.scratch);
    const std::string helper = node.attribute<bool>("relu") ? "rectified_step" : "simple_step";
    block.line(fmt::format("{}({}, {}, {});", block.unit.helper(helper), node.scratch, hidden, units));
  });
  keep_states(block, node.outputs[0], t, hidden, units);
  block.end();
}

template <int64_t times>
int64_t scratch_of_units(const CNode& node) {
  return times * node.inputs[1].extents[0];
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
  const bool others = std::find(streams.begin() + 1, streams.end(), true) != streams.end();
  return {others ? TimeUse::whole : TimeUse::recurrence};
}

}  // namespace

std::vector<COp> c_ops::recurrent() {
  return {{.op = "lstm_sequence",
           .emit = emit_sequence,
           .scratch = sequence_scratch,
           .weights = recurrent_kernel,
           .time = sequence_time},
          {.op = "gru_sequence",
           .emit = emit_gru_sequence,
           .scratch = scratch_of_units<8>,
           .weights = recurrent_kernel,
           .time = sequence_time},
          {.op = "simple_rnn_sequence",
           .emit = emit_simple_rnn_sequence,
           .scratch = scratch_of_units<2>,
           .weights = recurrent_kernel,
           .time = sequence_time},
          {.op = "lstm_cell", .emit = emit_cell, .scratch = cell_scratch, .weights = cell_kernels}};
}

}  // namespace lariat::to_c
