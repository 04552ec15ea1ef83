#include "graph/base/error.hpp"
#include "ops/kernels/gemm.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/recurrent/cell_products.hpp"
#include "ops/recurrent/sweep.hpp"
#include "ops/recurrent/units.hpp"

namespace lariat {

namespace lstm_detail {

const CellShape& shape() {
  static const CellShape cell{.name = "lstm",
                              .doc = "a long short-term memory layer",
                              .gates_doc = "input, forget, candidate, output",
                              .gates = 4,
                              .has_cell = true,
                              .kept = 4,
                              .kept_doc = "activated"};
  return cell;
}

// Gates lie side by side: input i, forget f, candidate g, output o.
//   i, f, o = σ(z);  g = tanh(z);  c' = f·c + i·g;  h' = o·tanh(c')
// Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000).
template <class T>
struct LstmCell {
  using Number = T;
  using Batch = xsimd::batch<T>;
  static constexpr int64_t gates = 4, slots = 4;
  static constexpr bool has_cell = true, has_bias = false, keeps_slots = true;
  static constexpr bool carries = false, projects = false;
  static constexpr std::array products{StepProduct{.gates = 4}};
  static constexpr int stages = 1;
  static constexpr GradientInputs gradient{
      .kernel = 2, .state = 3, .slots = 4, .initial_cell = 5, .lengths = 6};

  explicit LstmCell(const Attributes& attributes)
      : forget_bias(attributes.find("forget_bias") ? static_cast<T>(attributes.get<double>("forget_bias"))
                                                   : T(0)) {}

  template <int>
  void forward(const ForwardUnits<T>& u) const {
    const int64_t n = u.units;
    over_units<T>(u.begin, u.end, [&](auto load, auto store) {
      const Batch input = sigmoid_of(load(u.z)), forget = sigmoid_of(load(u.z + n) + Batch(forget_bias));
      const Batch candidate = tanh_of(load(u.z + 2 * n)), output = sigmoid_of(load(u.z + 3 * n));
      const Batch state = forget * load(u.cell) + input * candidate;
      store(input, u.slots);
      store(forget, u.slots + n);
      store(candidate, u.slots + 2 * n);
      store(output, u.slots + 3 * n);
      store(state, u.next_cell);
      store(output * tanh_of(state), u.next_hidden);
    });
  }

  template <int>
  void backward(const BackwardUnits<T>& u) const {
    const int64_t n = u.units;
    over_units<T>(u.begin, u.end, [&](auto load, auto store) {
      const Batch input = load(u.slots), forget = load(u.slots + n), candidate = load(u.slots + 2 * n),
                  output = load(u.slots + 3 * n), one(1);
      const Batch squashed = tanh_of(load(u.state)), d_h = load(u.d_hidden);
      // dc' = dc'(later) + dh'·o·(1 - tanh²c')
      const Batch d_c = load(u.d_cell) + d_h * output * (one - squashed * squashed);
      store(d_c * candidate * input * (one - input), u.d_z);
      store(d_c * load(u.cell) * forget * (one - forget), u.d_z + n);
      store(d_c * input * (one - candidate * candidate), u.d_z + 2 * n);
      store(d_h * squashed * output * (one - output), u.d_z + 3 * n);
      store(d_c * forget, u.d_cell);
    });
  }

  T forget_bias;
};

struct LstmCells {
  template <class T, class Body>
  static auto with(const Attributes&, const Body& body) {
    return body(std::type_identity<LstmCell<T>>());
  }
};

Workspace workspace(const KernelContext& k) {
  return workspace_of(k, {cell_product(k, 0, 4), cell_product(k, 1, 4)});
}

template <class T>
void step(const KernelContext& k) {
  const int64_t batch = k.inputs[0].extents[0], units = k.inputs[1].extents[1], wide = 4 * units;
  T* gates = k.out<T>(2);
  gemm<T>(k.parallel, cell_product(k, 0, 4), k.in<T>(0), k.in<T>(3), {k.in<T>(5), 0}, gates, wide, k.scratch);
  gemm<T>(k.parallel, cell_product(k, 1, 4), k.in<T>(1), k.in<T>(4), {gates, wide}, gates, wide, k.scratch);
  const LstmCell<T> cell(k.attributes);
  k.parallel.run(batch, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t at = row * units;
      cell.template forward<0>({nullptr, gates + 4 * at, k.in<T>(1) + at, nullptr, k.in<T>(2) + at,
                                k.out<T>(0) + at, k.out<T>(1) + at, gates + 4 * at, nullptr, nullptr, units,
                                0, units});
    }
  });
}

// Of the activations a and the cells c, c':
//   dc' += dh'·o·(1 - tanh²c');  di = dc'·g, df = dc'·c, dg = dc'·i, do = dh'·tanh c'  (plus what reads a
//   itself) dz = da·a(1 - a), for g: dg·(1 - g²);  dc = dc'·f
Adjoints step_vjp(const GradContext& g) {
  const Value x = g.in(0), h = g.in(1), c = g.in(2), next_c = g.out(1), gates = g.out(2);
  const Dim units = h.shape()[1];
  const int64_t width = units.size();
  const auto gate = [&](Value of, int64_t index) { return slice(of, 1, index * width, (index + 1) * width); };
  const Value i = gate(gates, 0), f = gate(gates, 1), candidate = gate(gates, 2), o = gate(gates, 3);
  const Value squashed = tanh(next_c), d_h = g.adjoint(0);
  Value d_c = d_h * o * (1 - square(squashed));
  if (g.has_adjoint(1)) d_c = d_c + g.adjoint(1);
  Value d_i = d_c * candidate, d_f = d_c * c, d_g = d_c * i, d_o = d_h * squashed;
  if (g.has_adjoint(2)) {
    const Value d = g.adjoint(2);
    d_i = d_i + gate(d, 0);
    d_f = d_f + gate(d, 1);
    d_g = d_g + gate(d, 2);
    d_o = d_o + gate(d, 3);
  }
  const Value d_z =
      concat({d_i * i * (1 - i), d_f * f * (1 - f), d_g * (1 - square(candidate)), d_o * o * (1 - o)}, 1);
  return {matmul(d_z, transpose(g.in(3))), matmul(d_z, transpose(g.in(4))), d_c * f,
          matmul(transpose(x), d_z),       matmul(transpose(h), d_z),       sum(d_z, {0})};
}

// The input projections of all steps are one product.
std::vector<Value> sequence(const RecurrentChain& chain) {
  const Operand projected(projected_steps(chain), chain.where);
  const Value hidden = lstm_sequence(projected, chain.shared[1], chain.initial[0], chain.initial[1],
                                     chain.attributes.get<double>("forget_bias"))
                           .named(chain.name);
  return {hidden, output_of(hidden, 1)};
}

Adjoints sequence_vjp(const GradContext& g) {
  if (g.has_adjoint(2) || g.has_adjoint(3))
    throw UserError("the gradient of lstm_sequence passes through its hidden states and cells only");
  const Value cells = g.out(1);
  const Value d_cells = g.has_adjoint(1) ? g.adjoint(1) : cells.graph().constant(0, cells.dtype());
  const Value d_z = build("lstm_sequence_gradient",
                          {g.adjoint(0), d_cells, g.in(1), cells, g.out(2), g.in(3), g.in(4), g.in(5)},
                          {{"to_initial", g.needs(2) || g.needs(3)}});
  const Value previous = g.out(3), mask = g.in(5);
  const Value d_recurrent =
      g.needs(1) ? recurrent_kernel_gradient(masked_states(previous, mask), d_z) : Value();
  const Value d_mask = g.needs(5) ? recurrent_mask_gradient(mask, previous, d_z, g.in(1)) : Value();
  return {d_z, d_recurrent, output_of(d_z, 1), output_of(d_z, 2), Value(), d_mask};
}

const AttributeSpec& forget_bias() {
  static const AttributeSpec spec{"forget_bias",
                                  AttributeKind::real,
                                  "added to the forget gate before its sigmoid",
                                  Attribute(0.0),
                                  -100,
                                  100};
  return spec;
}

const SampleInput whole_lstm{.extents = {}, .values = {0}, .dtype = i32};

}  // namespace lstm_detail

OpDef records::lstm_cell() {
  using namespace lstm_detail;
  OpDef def = cell_record(shape());
  def.attributes = {forget_bias()};
  def.infer = [](const InferContext& c) { return infer_cell(c, shape()); };
  def.kernel = {step<float>, step<double>, nullptr};
  def.workspace = workspace;
  def.vjp = step_vjp;
  def.recurrence = {.step_input = 0, .state_inputs = {1, 2}, .sequence = sequence, .steps_of = steps_of};
  // All weights 0 and bias 0: i = f = o = 0.5, g = 0, so c' = c/2 and h' = tanh(c/2)/2.
  def.samples = {
      {"zero weights",
       {{{1, 2}, {1, 1}},
        {{1, 1}, {3}},
        {{1, 1}, {1}},
        {{2, 4}, {0, 0, 0, 0, 0, 0, 0, 0}},
        {{1, 4}, {0, 0, 0, 0}},
        {{4}, {0, 0, 0, 0}}},
       {},
       {0.23105857863000487}},
      {"batch of 3", {{{3, 2}}, {{3, 4}}, {{3, 4}}, {{2, 16}}, {{4, 16}}, {{16}}}, {{"forget_bias", 1.0}}},
      {"one unit", {{{2, 1}}, {{2, 1}}, {{2, 1}}, {{1, 4}}, {{1, 4}}, {{4}}}},
      {"empty batch", {{{0, 2}}, {{0, 3}}, {{0, 3}}, {{2, 12}}, {{3, 12}}, {{12}}}}};
  def.rejects = {{{{f32, {2, 3}}, {f32, {2, 4}}, {f32, {2, 4}}, {f32, {3, 12}}, {f32, {4, 16}}, {f32, {16}}},
                  {},
                  "input_kernel is [3, 12]; it must be [3, 16]"},
                 {{{f32, {2, 3}}, {f32, {3, 4}}, {f32, {3, 4}}, {f32, {3, 16}}, {f32, {4, 16}}, {f32, {16}}},
                  {},
                  "hidden is [3, 4]; it must be [2, 4]"}};
  return def;
}

OpDef records::lstm_sequence() {
  using namespace lstm_detail;
  OpDef def = sequence_record(shape());
  def.attributes = {forget_bias()};
  def.traits.in_place = {{2, 0}};
  def.infer = [](const InferContext& c) { return infer_sequence(c, shape()); };
  SweepKernels<LstmCells>::put_forward(def);
  def.vjp = sequence_vjp;
  def.cost = [](std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
    const double steps = static_cast<double>(outputs[0].extents[0] * outputs[0].extents[1]);
    return sequence_cost(steps, static_cast<double>(outputs[0].extents[2]), 4,
                         2.75 * static_cast<double>(inputs[0].bytes()));
  };
  // R = 0 and z = 0: i = f = o = 0.5, g = 0, so c_t = c_0/2^t and h_t = tanh(c_t)/2.
  const std::vector<double> four(4), eight(8);
  def.samples = {{"zero inputs",
                  {{{1, 2, 4}, eight}, {{1, 4}, four}, {{}}, {{}, {0}}, whole_lstm, {{}, {1}}},
                  {},
                  {0, 0}},
                 {"from a cell",
                  {{{1, 2, 4}, eight}, {{1, 4}, four}, {{1}}, {{1, 1}, {1}}, whole_lstm, {{}, {1}}},
                  {},
                  {0.23105857863000487, 0.12245933120185457}},
                 {"batch of 3",
                  {{{3, 4, 8}}, {{2, 8}}, {{}, {0}}, {{}, {0}}, whole_lstm, {{}, {1}}},
                  {{"forget_bias", 1.0}}},
                 {"initial states", {{{3, 2, 8}}, {{2, 8}}, {{3, 2}}, {{2}}, whole_lstm, {{}, {1}}}},
                 {"many rows", {{{18, 2, 4}}, {{1, 4}}, {{18, 1}}, {{}}, whole_lstm, {{}, {1}}}},
                 {"one step", {{{2, 1, 12}}, {{3, 12}}, {{1, 3}}, {{2, 3}}, whole_lstm, {{}, {1}}}},
                 {"of different lengths",
                  {{{3, 3, 8}},
                   {{2, 8}},
                   {{3, 2}},
                   {{3, 2}},
                   {.extents = {3}, .values = {2, 0, 3}, .dtype = i32},
                   {{}, {1}}}},
                 {"masked", {{{3, 3, 8}}, {{2, 8}}, {{3, 2}}, {{3, 2}}, whole_lstm, {{3, 2}}}},
                 {"no steps", {{{2, 0, 4}}, {{1, 4}}, {{}}, {{}}, whole_lstm, {{}, {1}}}}};
  const TensorType scalar{f32, {}}, lengths{i32, {}};
  def.rejects = {{{{f32, {2, 5, 12}}, {f32, {3, 8}}, scalar, scalar, lengths, scalar},
                  {},
                  "recurrent_kernel is [3, 8]; it must be [units, 4·units]"},
                 {{{f32, {2, 12}}, {f32, {3, 12}}, scalar, scalar, lengths, scalar},
                  {},
                  "takes projected inputs [batch, time, 4·units]; got [2, 12]"},
                 {{{f32, {2, 5, 8}}, {f32, {3, 12}}, scalar, scalar, lengths, scalar},
                  {},
                  "projected is [2, 5, 8] and recurrent_kernel [3, 12]; their last dimensions must be equal"},
                 {{{f32, {2, 5, 12}}, {f32, {3, 12}}, {f32, {3}}, {f32, {3, 3}}, lengths, scalar},
                  {},
                  "initial_cell is [3, 3]; it must broadcast to [2, 3]"},
                 {{{f32, {2, 5, 12}}, {f32, {3, 12}}, scalar, scalar, {i32, {3}}, scalar},
                  {},
                  "lengths is i32[3]; it must be i32[2], or a scalar i32 for all steps"}};
  return def;
}

// Its own gradient is not offered: lstm_cell has one.
OpDef records::lstm_sequence_gradient() {
  using namespace lstm_detail;
  OpDef def = sequence_gradient_record(shape(), LstmCell<float>::gradient);
  def.traits.in_place = {{0, 4}};
  def.infer = [](const InferContext& c) {
    return infer_sequence_gradient(c, shape(), LstmCell<float>::gradient);
  };
  SweepKernels<LstmCells>::put_backward(def);
  def.cost = [](std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
    const double steps = static_cast<double>(inputs[0].extents[0] * inputs[0].extents[1]);
    return sequence_cost(steps, static_cast<double>(inputs[0].extents[2]), 4,
                         3.0 * static_cast<double>(outputs[0].bytes()));
  };
  // One step, one unit: dc' = dh·o·(1 - tanh²c'); with c' = 0, i = f = o = 0.5, g = 0: dz = (0, 0, dh/4, 0).
  def.samples = {{"one step",
                  {{{1, 1, 1}, {2}},
                   {{}, {0}},
                   {{1, 4}, {0, 0, 0, 0}},
                   {{1, 1, 1}, {0}},
                   {{1, 1, 4}, {0.5, 0.5, 0, 0.5}},
                   {{}, {0}},
                   whole_lstm,
                   {{}, {1}}},
                  {},
                  {0, 0, 0.5, 0}}};
  def.rejects = {{{{f32, {1, 1, 2}},
                   {f32, {}},
                   {f32, {2, 8}},
                   {f32, {1, 1, 1}},
                   {f32, {1, 1, 8}},
                   {f32, {}},
                   {i32, {}},
                   {f32, {}}},
                  {},
                  "d_hidden is [1, 1, 2]; it must be [1, 1, 1]"}};
  return def;
}

LstmState lstm_cell(Operand x, Operand hidden, Operand cell, Operand input_kernel, Operand recurrent_kernel,
                    Operand bias, double forget_bias) {
  const Value h = build("lstm_cell", {x, hidden, cell, input_kernel, recurrent_kernel, bias},
                        {{"forget_bias", forget_bias}});
  return {h, output_of(h, 1)};
}

Value lstm_sequence(Operand projected, Operand recurrent_kernel, Operand initial_hidden, Operand initial_cell,
                    double forget_bias, Value lengths, Value recurrent_mask) {
  return build_sequence(lstm_detail::shape(), {projected, recurrent_kernel, initial_hidden, initial_cell},
                        lengths, recurrent_mask, {{"forget_bias", forget_bias}});
}

Value lstm(Operand x, Operand input_kernel, Operand recurrent_kernel, Operand bias, double forget_bias) {
  const Value projected = matmul(x, input_kernel) + bias;
  return lstm_sequence(projected, recurrent_kernel, 0, 0, forget_bias);
}

}  // namespace lariat
