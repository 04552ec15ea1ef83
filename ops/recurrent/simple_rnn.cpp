#include "graph/base/error.hpp"
#include "ops/kernels/gemm.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/recurrent/cell_products.hpp"
#include "ops/recurrent/sweep.hpp"
#include "ops/recurrent/units.hpp"

namespace lariat {

namespace simple_rnn_detail {

const CellShape& shape() {
  static const CellShape cell{
      .name = "simple_rnn", .doc = "a simple recurrent layer", .gates_doc = {}, .gates = 1};
  return cell;
}

// h' = tanh(x·W + b + h·R), or max(0, ·). Elman (1990).
template <class T, bool relu>
struct SimpleCell {
  using Number = T;
  using Batch = xsimd::batch<T>;
  static constexpr int64_t gates = 1, slots = 1;
  static constexpr bool has_cell = false, has_bias = false, keeps_slots = false, carries = false;
  static constexpr bool projects = false;
  static constexpr std::array products{StepProduct{}};
  static constexpr int stages = 1;
  static constexpr GradientInputs gradient{.kernel = 1, .state = 2, .lengths = 3};

  explicit SimpleCell(const Attributes&) {}

  template <int>
  void forward(const ForwardUnits<T>& u) const {
    over_units<T>(u.begin, u.end, [&](auto load, auto store) {
      const Batch z = load(u.z);
      store(relu ? positive_part(z) : tanh_of(z), u.next_hidden);
    });
  }

  template <int>
  void backward(const BackwardUnits<T>& u) const {
    over_units<T>(u.begin, u.end, [&](auto load, auto store) {
      const Batch h = load(u.state), d_h = load(u.d_hidden), zero(0);
      store(relu ? select(h > zero, d_h, zero) : d_h * (Batch(1) - h * h), u.d_z);
    });
  }
};

struct SimpleCells {
  template <class T, class Body>
  static auto with(const Attributes& attributes, const Body& body) {
    return attributes.get<bool>("relu") ? body(std::type_identity<SimpleCell<T, true>>())
                                        : body(std::type_identity<SimpleCell<T, false>>());
  }
};

Workspace workspace(const KernelContext& k) {
  return workspace_of(k, {cell_product(k, 0, 1), cell_product(k, 1, 1)});
}

template <class T>
void step(const KernelContext& k) {
  const int64_t batch = k.inputs[0].extents[0], units = k.inputs[1].extents[1];
  T* h = k.out<T>(0);
  gemm<T>(k.parallel, cell_product(k, 0, 1), k.in<T>(0), k.in<T>(2), {k.in<T>(4), 0}, h, units, k.scratch);
  gemm<T>(k.parallel, cell_product(k, 1, 1), k.in<T>(1), k.in<T>(3), {h, units}, h, units, k.scratch);
  SimpleCells::with<T>(k.attributes, [&](auto type) {
    const typename decltype(type)::type cell(k.attributes);
    k.parallel.run(batch, 16, [&](int64_t begin, int64_t end) {
      ForwardUnits<T> rows{.z = h, .next_hidden = h, .begin = begin * units, .end = end * units};
      cell.template forward<0>(rows);
    });
  });
}

Adjoints step_vjp(const GradContext& g) {
  const Value h = g.out(0), d = g.adjoint(0);
  const Value d_z = g.attributes().get<bool>("relu") ? d * greater(h, 0) : d * (1 - square(h));
  return {matmul(d_z, transpose(g.in(2))), matmul(d_z, transpose(g.in(3))), matmul(transpose(g.in(0)), d_z),
          matmul(transpose(g.in(1)), d_z), sum(d_z, {0})};
}

std::vector<Value> sequence(const RecurrentChain& chain) {
  const Operand projected(projected_steps(chain), chain.where);
  return {
      simple_rnn_sequence(projected, chain.shared[1], chain.initial[0], chain.attributes.get<bool>("relu"))
          .named(chain.name)};
}

Adjoints sequence_vjp(const GradContext& g) {
  if (g.has_adjoint(1))
    throw UserError("the gradient of simple_rnn_sequence passes through its hidden states only");
  const Value d_z = build("simple_rnn_sequence_gradient", {g.adjoint(0), g.in(1), g.out(0), g.in(3), g.in(4)},
                          {{"to_initial", g.needs(2)}, {"relu", g.attributes().get<bool>("relu")}});
  const Value previous = g.out(1), mask = g.in(4);
  const Value d_recurrent =
      g.needs(1) ? recurrent_kernel_gradient(masked_states(previous, mask), d_z) : Value();
  const Value d_mask = g.needs(4) ? recurrent_mask_gradient(mask, previous, d_z, g.in(1)) : Value();
  return {d_z, d_recurrent, output_of(d_z, 1), Value(), d_mask};
}

const AttributeSpec& relu_attribute() {
  static const AttributeSpec spec{"relu", AttributeKind::boolean,
                                  "whether the activation is max(0, x) rather than tanh", Attribute(false)};
  return spec;
}

Attributes with_relu() { return {{"relu", true}}; }

const SampleInput whole_rows{.extents = {}, .values = {0}, .dtype = i32};

}  // namespace simple_rnn_detail

OpDef records::simple_rnn_cell() {
  using namespace simple_rnn_detail;
  OpDef def = cell_record(shape());
  def.attributes = {relu_attribute()};
  def.infer = [](const InferContext& c) { return infer_cell(c, shape()); };
  def.kernel = {step<float>, step<double>, nullptr};
  def.workspace = workspace;
  def.vjp = step_vjp;
  def.recurrence = {.step_input = 0, .state_inputs = {1}, .sequence = sequence, .steps_of = steps_of};
  def.kinks = "at 0 the slope of relu is 0";
  // relu(1·1 + 2·(-3) + 4·2) = 3
  def.samples = {
      {"relu",
       {{{1, 2}, {1, 2}}, {{1, 1}, {4}}, {{2, 1}, {1, -3}}, {{1, 1}, {2}}, {{1}, {0}}},
       with_relu(),
       {3}},
      {"tanh", {{{3, 2}}, {{3, 4}}, {{2, 4}}, {{4, 4}}, {{4}}}},
      {"zero weights", {{{1, 1}, {1}}, {{1, 1}, {1}}, {{1, 1}, {0}}, {{1, 1}, {0}}, {{1}, {0}}}, {}, {0}},
      {"empty batch", {{{0, 2}}, {{0, 3}}, {{2, 3}}, {{3, 3}}, {{3}}}}};
  def.rejects = {{{{f32, {2, 3}}, {f32, {2, 4}}, {f32, {3, 8}}, {f32, {4, 4}}, {f32, {4}}},
                  {},
                  "input_kernel is [3, 8]; it must be [3, 4]"}};
  return def;
}

OpDef records::simple_rnn_sequence() {
  using namespace simple_rnn_detail;
  OpDef def = sequence_record(shape());
  def.attributes = {relu_attribute()};
  def.infer = [](const InferContext& c) { return infer_sequence(c, shape()); };
  SweepKernels<SimpleCells>::put_forward(def);
  def.vjp = sequence_vjp;
  def.kinks = "at 0 the slope of relu is 0";
  def.cost = [](std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
    const double steps = static_cast<double>(outputs[0].extents[0] * outputs[0].extents[1]);
    return sequence_cost(steps, static_cast<double>(outputs[0].extents[2]), 1,
                         3.0 * static_cast<double>(inputs[0].bytes()));
  };
  const SampleInput lengths{.extents = {3}, .values = {2, 0, 3}, .dtype = i32};
  // h1 = relu(1 + 2·4) = 9, h2 = relu(-20 + 2·9) = 0, h3 = relu(5) = 5
  def.samples = {{"relu",
                  {{{1, 3, 1}, {1, -20, 5}}, {{1, 1}, {2}}, {{}, {4}}, whole_rows, {{}, {1}}},
                  with_relu(),
                  {9, 0, 5}},
                 {"tanh", {{{3, 4, 2}}, {{2, 2}}, {{3, 2}}, whole_rows, {{}, {1}}}},
                 {"of different lengths", {{{3, 3, 2}}, {{2, 2}}, {{2}}, lengths, {{}, {1}}}},
                 {"masked", {{{3, 3, 2}}, {{2, 2}}, {{2}}, whole_rows, {{3, 2}}}},
                 {"no steps", {{{2, 0, 1}}, {{1, 1}}, {{}}, whole_rows, {{}, {1}}}}};
  def.rejects = {{{{f32, {2, 5, 3}}, {f32, {3, 8}}, {f32, {}}, {i32, {}}, {f32, {}}},
                  {},
                  "recurrent_kernel is [3, 8]; it must be [units, units]"},
                 {{{f32, {2, 3}}, {f32, {3, 3}}, {f32, {}}, {i32, {}}, {f32, {}}},
                  {},
                  "takes projected inputs [batch, time, units]; got [2, 3]"}};
  return def;
}

// Its own gradient is not offered: simple_rnn_cell has one.
OpDef records::simple_rnn_sequence_gradient() {
  using namespace simple_rnn_detail;
  OpDef def = sequence_gradient_record(shape(), SimpleCell<float, false>::gradient);
  def.attributes.push_back(relu_attribute());
  def.infer = [](const InferContext& c) {
    return infer_sequence_gradient(c, shape(), SimpleCell<float, false>::gradient);
  };
  SweepKernels<SimpleCells>::put_backward(def);
  def.cost = [](std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
    const double steps = static_cast<double>(inputs[0].extents[0] * inputs[0].extents[1]);
    return sequence_cost(steps, static_cast<double>(inputs[0].extents[2]), 1,
                         4.0 * static_cast<double>(outputs[0].bytes()));
  };
  // dz = dh·(1 - h²)
  def.samples = {
      {"one step", {{{1, 1, 1}, {2}}, {{1, 1}, {0}}, {{1, 1, 1}, {0.5}}, whole_rows, {{}, {1}}}, {}, {1.5}}};
  def.rejects = {{{{f32, {1, 1, 2}}, {f32, {1, 1}}, {f32, {1, 1, 1}}, {i32, {}}, {f32, {}}},
                  {},
                  "d_hidden is [1, 1, 2]; it must be [1, 1, 1]"}};
  return def;
}

Value simple_rnn_cell(Operand x, Operand hidden, Operand input_kernel, Operand recurrent_kernel, Operand bias,
                      bool relu) {
  return build("simple_rnn_cell", {x, hidden, input_kernel, recurrent_kernel, bias}, {{"relu", relu}});
}

Value simple_rnn_sequence(Operand projected, Operand recurrent_kernel, Operand initial_hidden, bool relu,
                          Value lengths, Value recurrent_mask) {
  return build_sequence(simple_rnn_detail::shape(), {projected, recurrent_kernel, initial_hidden}, lengths,
                        recurrent_mask, {{"relu", relu}});
}

}  // namespace lariat
