#include <fmt/format.h>

#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace reverse_sequence_detail {

std::vector<TensorType> infer(const InferContext& c) {
  if (c.shape(0).size() < 2) c.fail(fmt::format("takes x [batch, time, ...]; got {}", text(c.shape(0))));
  check_integers(c, 1, "lengths", {c.shape(0)[0]});
  return {c.in(0)};
}

template <class Bits>
void forward(const KernelContext& k) {
  const int64_t batch = k.inputs[0].extents[0];
  const auto [outer, time, width] = blocks_around(k.inputs[0].extents, 1);
  check_lengths(k.inputs[1], time);
  const int32_t* lengths = k.in<int32_t>(1);
  k.parallel.run(batch, rows_per_task(time * width),
                 [&, time = time, width = width](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     const Bits* in = k.in<Bits>(0) + row * time * width;
                     Bits* out = k.out<Bits>(0) + row * time * width;
                     const int64_t length = lengths[row];
                     for (int64_t t = 0; t < length; ++t)
                       std::copy_n(in + (length - 1 - t) * width, width, out + t * width);
                     std::copy_n(in + length * width, (time - length) * width, out + length * width);
                   }
                 });
}

}  // namespace reverse_sequence_detail

OpDef records::reverse_sequence() {
  using namespace reverse_sequence_detail;
  OpDef def{
      .name = "reverse_sequence",
      .doc = "Reverses the first steps of each row, as many as the row is long; the padding behind stays.",
      .inputs = {{"x", "[batch, time, ...]"}, {"lengths", "i32 [batch], each in [0, time]"}},
      .outputs = {{"result", "like x"}}};
  def.traits.selection = true;
  def.traits.linear = {true, false};
  def.infer = infer;
  def.kernel = {forward<uint32_t>, forward<uint64_t>, forward<uint32_t>};
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {reverse_sequence(g.adjoint(0), g.in(1)), Value()};
  };
  def.cost = streaming_cost<0>;
  const auto lengths = [](std::vector<double> values) {
    const auto count = static_cast<int64_t>(values.size());
    return SampleInput{.extents = {count}, .values = std::move(values), .dtype = i32};
  };
  def.samples = {{"padding stays", {{{2, 3}, {1, 2, 3, 4, 5, 6}}, lengths({2, 3})}, {}, {2, 1, 3, 6, 5, 4}},
                 {"channels", {{{3, 4, 2}}, lengths({4, 0, 1})}},
                 {"no rows", {{{0, 3}}, lengths({})}}};
  def.rejects = {{{{f32, {3}}, {i32, {3}}}, {}, "takes x [batch, time, ...]; got [3]"},
                 {{{f32, {2, 3}}, {i32, {3}}}, {}, "lengths is i32[3]; it must be i32[2]"}};
  return def;
}

Value reverse_sequence(Operand x, Operand lengths) { return build("reverse_sequence", {x, lengths}); }

}  // namespace lariat
