#include <fmt/format.h>

#include "ops/kernels/axes.hpp"
#include "ops/kernels/window.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace gather_steps_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_sequence(c, "x");
  const Shape &x = c.shape(0), &indices = c.shape(1);
  if (c.in(1).dtype != i32 || indices.size() != 3 || !(indices[0] == x[0]) || !(indices[2] == x[2]))
    c.fail(
        fmt::format("indices is {}; it must be i32[{}, steps, {}]", text(c.in(1)), x[0].text(), x[2].text()));
  return {{c.in(0).dtype, indices}};
}

template <class Bits>
void forward(const KernelContext& k) {
  const int64_t time = k.inputs[0].extents[1], steps = k.outputs[0].extents[1],
                channels = k.outputs[0].extents[2];
  check_indices(k.inputs[1], time, "index", "steps");
  k.parallel.run(k.outputs[0].extents[0] * steps, rows_per_task(channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const Bits* x = k.in<Bits>(0) + row / steps * time * channels;
      const int32_t* index = k.in<int32_t>(1) + row * channels;
      Bits* y = k.out<Bits>(0) + row * channels;
      for (int64_t j = 0; j < channels; ++j) y[j] = x[index[j] * channels + j];
    }
  });
}

}  // namespace gather_steps_detail

OpDef records::gather_steps() {
  using namespace gather_steps_detail;
  OpDef def{.name = "gather_steps",
            .doc = "The time steps that indices name, for each row and channel of its own.",
            .inputs = {{"x", "[batch, time, channels]"},
                       {"indices", "i32 [batch, steps, channels], each in [0, time)"}},
            .outputs = {{"result", "[batch, steps, channels]"}}};
  def.traits.selection = true;
  def.traits.linear = {true, false};
  def.infer = infer;
  def.kernel = {forward<uint32_t>, forward<uint64_t>, forward<uint32_t>};
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {scatter_add_steps(g.adjoint(0), g.in(1), g.in(0).shape()[1]), Value()};
  };
  def.cost = [](std::span<const TensorView>, std::span<const TensorView> outputs, const Attributes&) {
    return Cost{.bytes = 3 * static_cast<double>(outputs[0].bytes())};
  };
  const auto indices = [](Extents extents, std::vector<double> values) {
    return SampleInput{.extents = std::move(extents), .values = std::move(values), .dtype = i32};
  };
  def.samples = {
      {"two channels", {{{1, 3, 2}, {1, 2, 3, 4, 5, 6}}, indices({1, 2, 2}, {2, 0, 1, 1})}, {}, {5, 2, 3, 4}},
      {"repeated", {{{2, 2, 1}}, indices({2, 3, 1}, {1, 1, 0, 0, 0, 0})}},
      {"no steps", {{{2, 2, 1}}, indices({2, 0, 1}, {})}}};
  def.rejects = {
      {{{f32, {2, 3, 4}}, {i32, {2, 1, 3}}}, {}, "indices is i32[2, 1, 3]; it must be i32[2, steps, 4]"},
      {{{f32, {2, 3}}, {i32, {2, 1, 3}}}, {}, "takes x [batch, time, channels]; got [2, 3]"}};
  return def;
}

Value gather_steps(Operand x, Operand indices) { return build("gather_steps", {x, indices}); }

}  // namespace lariat
