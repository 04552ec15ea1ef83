#include "graph/error.hpp"
#include "ops/gemm.hpp"
#include "ops/lstm_gates.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace {

std::vector<TensorType> infer(const InferContext& c) {
  const Shape &projected = c.shape(0), &recurrent = c.shape(1);
  if (c.in(0).dtype != c.in(1).dtype)
    c.fail("takes inputs of one dtype; got " + text(c.in(0)) + " and " + text(c.in(1)));
  if (projected.size() != 3) c.fail("takes projected inputs [batch, time, 4·units]; got " + text(projected));
  if (recurrent.size() != 2 || !(recurrent[0] * 4 == recurrent[1]))
    c.fail("recurrent_kernel is " + text(recurrent) + "; it must be [units, 4·units]");
  if (!(projected[2] == recurrent[1]))
    c.fail("projected is " + text(projected) + " and recurrent_kernel " + text(recurrent) +
           "; their last dimensions must be equal");
  const Shape states{projected[0], projected[1], recurrent[0]};
  return {{c.in(0).dtype, states}, {c.in(0).dtype, states}, {c.in(0).dtype, projected}};
}

// z_t = projected_t + h_{t-1}·R; the gates then as in lstm_gates.
template <class T>
void forward(const KernelContext& k) {
  const int64_t batch = k.inputs[0].extents[0], time = k.inputs[0].extents[1],
                hidden = k.inputs[1].extents[0];
  const int64_t wide = 4 * hidden;
  const T *projected = k.in<T>(0), *recurrent = k.in<T>(1);
  T *h = k.out<T>(0), *c = k.out<T>(1), *gates = k.out<T>(2);
  const T forget_bias = static_cast<T>(k.attributes.get<double>("forget_bias"));
  k.parallel.run(batch, lstm_rows_per_chunk, [&](int64_t begin, int64_t end) {
    for (int64_t t = 0; t < time; ++t) {
      for (int64_t row = begin; row < end; ++row)
        std::copy_n(projected + (row * time + t) * wide, wide, gates + (row * time + t) * wide);
      if (t > 0)
        gemm_tile<T>(false, false, end - begin, wide, hidden, h + (begin * time + t - 1) * hidden,
                     time * hidden, recurrent, wide, T(1), gates + (begin * time + t) * wide, time * wide);
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * time + t;
        lstm_forward_row<T>(gates + at * wide, t > 0 ? c + (at - 1) * hidden : nullptr, c + at * hidden,
                            h + at * hidden, hidden, forget_bias);
      }
    }
  });
}

// dR = Σ_t h_{t-1}ᵀ·dz_t as one product over all steps of the batch.
Adjoints vjp(const GradContext& g) {
  if (g.has_adjoint(1) || g.has_adjoint(2))
    throw UserError(
        "the gradient of lstm_sequence passes through its hidden states only; unroll lstm_cell to use the "
        "cells");
  const Value h = g.out(0), recurrent = g.in(1);
  const Value d_z = build("lstm_sequence_gradient", {g.adjoint(0), recurrent, g.out(1), g.out(2)});
  Value d_recurrent;
  if (g.needs(1)) {
    const Dim time = h.shape()[1], units = h.shape()[2];
    const Value before = slice(pad(h, 1, 1, 0), 1, 0, time);
    d_recurrent = matmul(transpose(reshape(before, {-1, units})), reshape(d_z, {-1, units * 4}));
  }
  return {d_z, d_recurrent};
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
  const double steps = static_cast<double>(outputs[0].extents[0] * outputs[0].extents[1]);
  const double hidden = static_cast<double>(outputs[0].extents[2]);
  return {.flops = steps * (8 * hidden * hidden + 80 * hidden),
          .bytes = 3.0 * static_cast<double>(inputs[0].bytes())};
}

}  // namespace

OpDef records::lstm_sequence() {
  OpDef def{
      .name = "lstm_sequence",
      .doc = "The recurrent part of a long short-term memory layer over a whole sequence, from zero states.",
      .inputs = {{"projected", "[batch, time, 4·units], x·W + b of every step"},
                 {"recurrent_kernel",
                  "[units, 4·units], gates side by side: input, forget, candidate, output"}},
      .outputs = {{"hidden", "[batch, time, units]"},
                  {"cells", "[batch, time, units]"},
                  {"gates", "[batch, time, 4·units], activated"}}};
  def.attributes = {{"forget_bias", AttributeKind::real, "added to the forget gate before its sigmoid",
                     Attribute(0.0), -100, 100}};
  def.traits.second_order = false;
  def.traits.saved_outputs = 1;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = cost;
  // R = 0 and z = 0: i = f = o = 0.5, g = 0, so every state is 0.
  def.samples = {{"zero inputs", {{{1, 2, 4}, {0, 0, 0, 0, 0, 0, 0, 0}}, {{1, 4}, {0, 0, 0, 0}}}, {}, {0, 0}},
                 {"batch of 3", {{{3, 4, 8}}, {{2, 8}}}, {{"forget_bias", 1.0}}},
                 {"more rows than a chunk", {{{18, 2, 4}}, {{1, 4}}}},
                 {"one step", {{{2, 1, 12}}, {{3, 12}}}},
                 {"no steps", {{{2, 0, 4}}, {{1, 4}}}}};
  def.rejects = {
      {{{f32, {2, 5, 12}}, {f32, {3, 8}}}, {}, "recurrent_kernel is [3, 8]; it must be [units, 4·units]"},
      {{{f32, {2, 12}}, {f32, {3, 12}}}, {}, "takes projected inputs [batch, time, 4·units]; got [2, 12]"},
      {{{f32, {2, 5, 8}}, {f32, {3, 12}}},
       {},
       "projected is [2, 5, 8] and recurrent_kernel [3, 12]; their last dimensions must be equal"}};
  return def;
}

Value lstm(Operand x, Operand input_kernel, Operand recurrent_kernel, Operand bias, double forget_bias) {
  const Value projected = matmul(x, input_kernel) + bias;
  return build("lstm_sequence", {projected, recurrent_kernel}, {{"forget_bias", forget_bias}});
}

}  // namespace lariat
