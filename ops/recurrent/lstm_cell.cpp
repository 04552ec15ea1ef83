#include "ops/kernels/gemm.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/recurrent/lstm_gates.hpp"

namespace lariat {

namespace lstm_cell_detail {

std::vector<TensorType> infer(const InferContext& c) {
  for (size_t i = 1; i < 6; ++i)
    if (c.in(i).dtype != c.in(0).dtype)
      c.fail("takes inputs of one dtype; got " + text(c.in(0)) + " and " + text(c.in(i)));
  const Shape &x = c.shape(0), &h = c.shape(1);
  if (x.size() != 2 || h.size() != 2)
    c.fail("takes x [batch, input] and hidden [batch, units]; got " + text(x) + " and " + text(h));
  const Dim units = h[1];
  const auto expect = [&](size_t index, const char* name, const Shape& wanted) {
    if (c.shape(index) != wanted)
      c.fail(std::string(name) + " is " + text(c.shape(index)) + "; it must be " + text(wanted));
  };
  expect(1, "hidden", {x[0], units});
  expect(2, "cell", h);
  expect(3, "input_kernel", {x[1], units * 4});
  expect(4, "recurrent_kernel", {units, units * 4});
  expect(5, "bias", {units * 4});
  return {{c.in(0).dtype, h}, {c.in(0).dtype, h}, {c.in(0).dtype, {x[0], units * 4}}};
}

// The products of the inputs and of the hidden state, input 0 or 1.
Product product_of(const KernelContext& k, size_t input) {
  const int64_t batch = k.inputs[0].extents[0], wide = 4 * k.inputs[1].extents[1],
                inner = k.inputs[input].extents[1];
  return {false, false, batch, wide, inner, inner, wide};
}

Workspace workspace(const KernelContext& k) {
  const auto of = [&](size_t input) {
    const Product product = product_of(k, input);
    return k.outputs[0].dtype == f32 ? gemm_workspace<float>(product) : gemm_workspace<double>(product);
  };
  return larger(of(0), of(1));
}

template <class T>
void forward(const KernelContext& k) {
  const int64_t batch = k.inputs[0].extents[0], hidden = k.inputs[1].extents[1];
  const int64_t wide = 4 * hidden;
  T* gates = k.out<T>(2);
  gemm<T>(k.parallel, product_of(k, 0), k.in<T>(0), k.in<T>(3), {k.in<T>(5), 0}, gates, wide, k.scratch);
  gemm<T>(k.parallel, product_of(k, 1), k.in<T>(1), k.in<T>(4), {gates, wide}, gates, wide, k.scratch);
  const T forget_bias = static_cast<T>(k.attributes.get<double>("forget_bias"));
  k.parallel.run(batch, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      lstm_forward_row<T>(gates + row * wide, gates + row * wide, k.in<T>(2) + row * hidden,
                          k.out<T>(1) + row * hidden, k.out<T>(0) + row * hidden, hidden, 0, hidden,
                          forget_bias);
  });
}

// Of the activations a and the cells c, c':
//   dc' += dh'·o·(1 - tanh²c');  di = dc'·g, df = dc'·c, dg = dc'·i, do = dh'·tanh c'  (plus what reads a
//   itself) dz = da·a(1 - a), for g: dg·(1 - g²);  dc = dc'·f
Adjoints vjp(const GradContext& g) {
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
  const Operand steps(stack(chain.steps, 1, chain.where), chain.where);
  const Operand input_kernel(chain.shared[0], chain.where), bias(chain.shared[2], chain.where);
  const Operand projected(matmul(steps, input_kernel) + bias, chain.where);
  const Value hidden = lstm_sequence(projected, chain.shared[1], chain.initial[0], chain.initial[1],
                                     chain.attributes.get<double>("forget_bias"))
                           .named(chain.name);
  return {hidden, output_of(hidden, 1)};
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
  const double rows = static_cast<double>(inputs[0].extents[0]),
               wide = static_cast<double>(outputs[2].extents[1]);
  const double inner = static_cast<double>(inputs[0].extents[1] + inputs[1].extents[1]);
  return {.flops = rows * wide * (2 * inner + 20), .bytes = 4 * (inner * wide + rows * (inner + 2 * wide))};
}

}  // namespace lstm_cell_detail

OpDef records::lstm_cell() {
  using namespace lstm_cell_detail;
  OpDef def{
      .name = "lstm_cell",
      .doc = "One step of a long short-term memory layer.",
      .inputs = {{"x", "[batch, input]"},
                 {"hidden", "[batch, units]"},
                 {"cell", "[batch, units]"},
                 {"input_kernel", "[input, 4·units], gates side by side: input, forget, candidate, output"},
                 {"recurrent_kernel", "[units, 4·units]"},
                 {"bias", "[4·units]"}},
      .outputs = {{"hidden", "[batch, units]"},
                  {"cell", "[batch, units]"},
                  {"gates", "[batch, 4·units], activated"}}};
  def.attributes = {{"forget_bias", AttributeKind::real, "added to the forget gate before its sigmoid",
                     Attribute(0.0), -100, 100}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = workspace;
  def.vjp = vjp;
  def.cost = cost;
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

LstmState lstm_cell(Operand x, Operand hidden, Operand cell, Operand input_kernel, Operand recurrent_kernel,
                    Operand bias, double forget_bias) {
  using namespace lstm_cell_detail;
  const Value h = build("lstm_cell", {x, hidden, cell, input_kernel, recurrent_kernel, bias},
                        {{"forget_bias", forget_bias}});
  return {h, output_of(h, 1)};
}

}  // namespace lariat
