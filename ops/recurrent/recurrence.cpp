#include "ops/recurrent/recurrence.hpp"

#include <fmt/format.h>

#include "ops/kernels/axes.hpp"
#include "ops/kernels/product_kernel.hpp"
#include "ops/ops.hpp"
#include "ops/recurrent/cell.hpp"

namespace lariat {

namespace recurrence_detail {

// "4·units".
std::string times_units(int64_t count) { return count == 1 ? "units" : fmt::format("{}·units", count); }

void expect(const InferContext& c, size_t index, std::string_view name, const Shape& wanted) {
  if (c.shape(index) != wanted)
    c.fail(fmt::format("{} is {}; it must be {}", name, text(c.shape(index)), text(wanted)));
}

void expect_broadcast(const InferContext& c, size_t index, std::string_view name, const Shape& wanted) {
  if (broadcast(c.shape(index), wanted) != wanted)
    c.fail(fmt::format("{} is {}; it must broadcast to {}", name, text(c.shape(index)), text(wanted)));
}

void expect_lengths(const InferContext& c, size_t index, const Dim& batch) {
  if (c.in(index).dtype != i32 || (!c.shape(index).empty() && c.shape(index) != Shape{batch}))
    c.fail(fmt::format("lengths is {}; it must be {}, or a scalar i32 for all steps", text(c.in(index)),
                       text(TensorType{i32, {batch}})));
}

void check_one_dtype_but(const InferContext& c, size_t lengths) {
  for (size_t i = 1; i < c.size(); ++i)
    if (i != lengths && c.in(i).dtype != c.in(0).dtype)
      c.fail("takes inputs of one dtype; got " + text(c.in(0)) + " and " + text(c.in(i)) +
             ". Use cast to convert one");
}

constexpr const char* lengths_doc =
    "i32 [batch], each in [0, time], behind which the states stay; a scalar: all steps count";

constexpr const char* mask_doc =
    "[batch, units], what the hidden state is multiplied by in the recurrent products; a scalar: nothing";

void expect_mask(const InferContext& c, size_t index, const Shape& wanted) {
  if (!c.shape(index).empty() && c.shape(index) != wanted)
    c.fail(fmt::format("recurrent_mask is {}; it must be {}, or a scalar for none", text(c.shape(index)),
                       text(wanted)));
}

size_t lengths_of(const CellShape& cell) { return cell.has_cell ? 4 : 3; }

InputSpec kernel_of(const CellShape& cell) {
  return {"recurrent_kernel",
          fmt::format("[units, {}]{}", times_units(cell.gates),
                      cell.gates_doc.empty() ? "" : ", gates side by side: " + cell.gates_doc)};
}

InputSpec kept_of(const CellShape& cell) {
  return {"gates", fmt::format("[batch, time, {}], {}", times_units(cell.kept), cell.kept_doc)};
}

}  // namespace recurrence_detail

template <class T>
void copy_state(const TensorView& state, int64_t row, int64_t begin, int64_t end, T* to) {
  const int64_t units = state.rank() > 0 ? state.extent(-1) : 1;
  const T* from = state.as<T>() + (state.rank() == 2 && state.extents[0] > 1 ? row * units : 0);
  if (units == 1) {
    std::fill(to + begin, to + end, *from);
  } else {
    std::copy(from + begin, from + end, to + begin);
  }
}

// With fewer rows than this to a thread, the recurrent kernel is read more often than it is used.
constexpr int64_t fewest_rows = 4;

template <class T>
SweepPieces sweep_pieces(int64_t batch, int64_t units, int threads) {
  const int64_t panel = panel_columns<T>(), share = (batch + threads - 1) / threads;
  if (share >= fewest_rows || threads == 1 || units % panel != 0) return {std::max<int64_t>(share, 1), 0};
  return {0, std::max((units / threads + panel - 1) / panel, int64_t{1}) * panel};
}

template void copy_state<float>(const TensorView&, int64_t, int64_t, int64_t, float*);
template void copy_state<double>(const TensorView&, int64_t, int64_t, int64_t, double*);
template SweepPieces sweep_pieces<float>(int64_t, int64_t, int);
template SweepPieces sweep_pieces<double>(int64_t, int64_t, int);

std::vector<TensorType> infer_sequence(const InferContext& c, const CellShape& cell) {
  using namespace recurrence_detail;
  const Shape &projected = c.shape(0), &recurrent = c.shape(1);
  const std::string wide = times_units(cell.gates);
  check_one_dtype_but(c, lengths_of(cell));
  if (projected.size() != 3)
    c.fail(fmt::format("takes projected inputs [batch, time, {}]; got {}", wide, text(projected)));
  if (recurrent.size() != 2 || !(recurrent[0] * cell.gates == recurrent[1]))
    c.fail(fmt::format("recurrent_kernel is {}; it must be [units, {}]", text(recurrent), wide));
  if (!(projected[2] == recurrent[1]))
    c.fail("projected is " + text(projected) + " and recurrent_kernel " + text(recurrent) +
           "; their last dimensions must be equal");
  const Dim units = recurrent[0];
  expect_broadcast(c, 2, "initial_hidden", {projected[0], units});
  if (cell.has_cell) expect_broadcast(c, 3, "initial_cell", {projected[0], units});
  expect_lengths(c, lengths_of(cell), projected[0]);
  expect_mask(c, lengths_of(cell) + 1, {projected[0], units});
  if (!cell.bias.empty()) expect(c, lengths_of(cell) + 2, cell.bias, {units});
  const TensorType states{c.in(0).dtype, {projected[0], projected[1], units}};
  std::vector<TensorType> outputs(cell.has_cell ? 2 : 1, states);
  if (cell.kept > 0) outputs.push_back({c.in(0).dtype, {projected[0], projected[1], units * cell.kept}});
  outputs.push_back(states);
  return outputs;
}

OpDef sequence_record(const CellShape& cell) {
  using namespace recurrence_detail;
  OpDef def{.name = cell.name + "_sequence",
            .doc = "The recurrent part of " + cell.doc + " over a whole sequence.",
            .inputs = {{"projected",
                        fmt::format("[batch, time, {}], x·W + b of every step", times_units(cell.gates))},
                       kernel_of(cell),
                       {"initial_hidden", "broadcast to [batch, units]"}},
            .outputs = {{"hidden", "[batch, time, units]"}}};
  if (cell.has_cell) {
    def.inputs.push_back({"initial_cell", "broadcast to [batch, units]"});
    def.outputs.push_back({"cells", "[batch, time, units]"});
  }
  def.inputs.push_back({"lengths", lengths_doc});
  def.inputs.push_back({"recurrent_mask", mask_doc});
  if (!cell.bias.empty()) def.inputs.push_back({cell.bias, "[units]"});
  if (cell.kept > 0) def.outputs.push_back(kept_of(cell));
  def.outputs.push_back({"previous", "[batch, time, units], the hidden state before each step"});
  def.traits.second_order = false;
  def.traits.saved_outputs = cell.has_cell ? 2 : 1;
  def.traits.optional_outputs = 1;
  return def;
}

std::vector<TensorType> infer_sequence_gradient(const InferContext& c, const CellShape& cell,
                                                const GradientInputs& inputs) {
  using namespace recurrence_detail;
  const auto kept = static_cast<size_t>(inputs.state >= 0 ? inputs.state : inputs.previous);
  const Shape& states = c.shape(kept);
  check_one_dtype_but(c, static_cast<size_t>(inputs.lengths));
  if (states.size() != 3) c.fail("takes states [batch, time, units]; got " + text(states));
  const Dim batch = states[0], units = states[2];
  expect(c, 0, "d_hidden", states);
  if (cell.has_cell && !c.shape(1).empty()) expect(c, 1, "d_cells", states);
  expect(c, static_cast<size_t>(inputs.kernel), "recurrent_kernel", {units, units * cell.gates});
  if (inputs.slots >= 0)
    expect(c, static_cast<size_t>(inputs.slots), "gates", {batch, states[1], units * cell.kept});
  if (inputs.initial_cell >= 0)
    expect_broadcast(c, static_cast<size_t>(inputs.initial_cell), "initial_cell", {batch, units});
  expect_lengths(c, static_cast<size_t>(inputs.lengths), batch);
  expect_mask(c, static_cast<size_t>(inputs.lengths) + 1, {batch, units});
  const DType dtype = c.in(0).dtype;
  std::vector<TensorType> outputs{{dtype, {batch, states[1], units * cell.gates}}};
  outputs.resize(cell.has_cell ? 3 : 2, {dtype, {batch, units}});
  return outputs;
}

OpDef sequence_gradient_record(const CellShape& cell, const GradientInputs& inputs) {
  using namespace recurrence_detail;
  std::vector<InputSpec> specs(static_cast<size_t>(inputs.lengths) + 2);
  const auto put = [&](int index, InputSpec spec) {
    if (index >= 0) specs[static_cast<size_t>(index)] = std::move(spec);
  };
  put(0, {"d_hidden", "[batch, time, units]"});
  if (cell.has_cell) put(1, {"d_cells", "[batch, time, units], or a scalar"});
  put(inputs.kernel, kernel_of(cell));
  put(inputs.state, {cell.has_cell ? "cells" : "hidden", "[batch, time, units]"});
  put(inputs.slots, kept_of(cell));
  put(inputs.previous, {"previous", "[batch, time, units]"});
  put(inputs.initial_cell, {"initial_cell", "broadcast to [batch, units]"});
  put(inputs.lengths, {"lengths", lengths_doc});
  put(inputs.lengths + 1, {"recurrent_mask", mask_doc});
  OpDef def{.name = cell.name + "_sequence_gradient",
            .doc = "The adjoints of " + cell.name +
                   "_sequence's projected inputs and initial states; made by its gradient.",
            .inputs = std::move(specs),
            .outputs = {{"d_projected", fmt::format("[batch, time, {}]", times_units(cell.gates))},
                        {"d_initial_hidden", "[batch, units]; zeros unless asked for"}}};
  if (cell.has_cell) def.outputs.push_back({"d_initial_cell", "[batch, units]"});
  def.attributes = {
      {"to_initial", AttributeKind::boolean, "whether d_initial_hidden is wanted", Attribute(true)}};
  def.traits.second_order = false;
  return def;
}

Cost sequence_cost(double steps, double units, int64_t gates, double bytes) {
  const auto wide = static_cast<double>(gates);
  return {.flops = steps * wide * (2 * units * units + 20 * units), .bytes = bytes};
}

std::vector<TensorType> infer_cell(const InferContext& c, const CellShape& cell) {
  using namespace recurrence_detail;
  for (size_t i = 1; i < c.size(); ++i)
    if (c.in(i).dtype != c.in(0).dtype)
      c.fail("takes inputs of one dtype; got " + text(c.in(0)) + " and " + text(c.in(i)));
  const Shape &x = c.shape(0), &h = c.shape(1);
  if (x.size() != 2 || h.size() != 2)
    c.fail("takes x [batch, input] and hidden [batch, units]; got " + text(x) + " and " + text(h));
  const Dim units = h[1];
  expect(c, 1, "hidden", {x[0], units});
  size_t next = 2;
  if (cell.has_cell) expect(c, next++, "cell", h);
  expect(c, next++, "input_kernel", {x[1], units * cell.gates});
  expect(c, next++, "recurrent_kernel", {units, units * cell.gates});
  expect(c, next++, "bias", {units * cell.gates});
  if (!cell.bias.empty()) expect(c, next, cell.bias, {units});
  std::vector<TensorType> outputs(cell.has_cell ? 2 : 1, {c.in(0).dtype, h});
  if (cell.kept > 0) outputs.push_back({c.in(0).dtype, {x[0], units * cell.kept}});
  return outputs;
}

OpDef cell_record(const CellShape& cell) {
  using namespace recurrence_detail;
  const std::string wide = times_units(cell.gates);
  OpDef def{.name = cell.name + "_cell",
            .doc = "One step of " + cell.doc + ".",
            .inputs = {{"x", "[batch, input]"}, {"hidden", "[batch, units]"}},
            .outputs = {{"hidden", "[batch, units]"}}};
  if (cell.has_cell) {
    def.inputs.push_back({"cell", "[batch, units]"});
    def.outputs.push_back({"cell", "[batch, units]"});
  }
  def.inputs.push_back(
      {"input_kernel", fmt::format("[input, {}]{}", wide,
                                   cell.gates_doc.empty() ? "" : ", gates side by side: " + cell.gates_doc)});
  def.inputs.push_back({"recurrent_kernel", fmt::format("[units, {}]", wide)});
  def.inputs.push_back({"bias", fmt::format("[{}]", wide)});
  if (!cell.bias.empty()) def.inputs.push_back({cell.bias, "[units]"});
  if (cell.kept > 0)
    def.outputs.push_back({"gates", fmt::format("[batch, {}], {}", times_units(cell.kept), cell.kept_doc)});
  def.cost = [](std::span<const TensorView> inputs, std::span<const TensorView>, const Attributes&) {
    Cost cost;
    for (const TensorView& input : inputs) {
      const auto count = static_cast<double>(input.count());
      cost.bytes += static_cast<double>(input.bytes());
      if (input.rank() == 2) cost.flops += 2 * count * static_cast<double>(inputs[0].extents[0]);
    }
    return cost;
  };
  return def;
}

Value build_sequence(const CellShape& cell, std::vector<Operand> inputs, Value lengths, Value recurrent_mask,
                     Attributes attributes) {
  const auto at = inputs.begin() + static_cast<std::ptrdiff_t>(recurrence_detail::lengths_of(cell));
  const std::source_location where = inputs[0].where;
  // An empty one is refused below.
  if (const Value first = inputs[0].value) {
    if (!lengths) lengths = first.graph().constant(Tensor::scalar(0, i32), where);
    if (!recurrent_mask) recurrent_mask = first.graph().constant(1, first.dtype(), where);
  }
  inputs.insert(at, {Operand(lengths, where), Operand(recurrent_mask, where)});
  return build(cell.name + "_sequence", inputs, std::move(attributes));
}

Value masked_states(Value previous, Value recurrent_mask) {
  if (recurrent_mask.rank() == 0) return previous;
  const Shape& shape = recurrent_mask.shape();
  return previous * reshape(recurrent_mask, {shape[0], 1, shape[1]});
}

Value recurrent_kernel_gradient(Value operand, Value d_z) {
  const Dim units = operand.shape()[2], wide = d_z.shape()[2];
  return matmul(transpose(reshape(operand, {-1, units})), reshape(d_z, {-1, wide}));
}

Value recurrent_mask_gradient(Value recurrent_mask, Value previous, Value d_z, Value recurrent_kernel) {
  if (recurrent_mask.rank() == 0) return {};
  return sum(previous * matmul(d_z, transpose(recurrent_kernel)), {1});
}

Value projected_steps(const RecurrentChain& chain) {
  const Operand steps(stack(chain.steps, 1, chain.where), chain.where);
  const Operand input_kernel(chain.shared[0], chain.where), bias(chain.shared[2], chain.where);
  return matmul(steps, input_kernel) + bias;
}

}  // namespace lariat
