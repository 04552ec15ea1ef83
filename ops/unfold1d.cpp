#include "ops/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/window.hpp"

namespace lariat {

namespace {

std::vector<TensorType> infer(const InferContext& c) {
  check_sequence(c, "x");
  const Shape& x = c.shape(0);
  const int64_t kernel = c.attribute<int64_t>("kernel");
  return {{c.in(0).dtype, {x[0], checked_steps(window_of(c, kernel), x[1]), x[2] * Dim(kernel)}}};
}

template <class Bits>
void forward(const KernelContext& k) {
  const Window window = window_of(k.attributes, k.attributes.get<int64_t>("kernel"));
  const Extents &x = k.inputs[0].extents, &y = k.outputs[0].extents;
  k.parallel.run(y[0] * y[1], rows_per_task(y[2]), [&](int64_t begin, int64_t end) {
    unfold_rows(k.in<Bits>(0), x[1], x[2], window, y[1], begin, end, k.out<Bits>(0) + begin * y[2]);
  });
}

Adjoints vjp(const GradContext& g) {
  Attributes attributes = g.attributes();
  attributes.set("time", Shape{g.in(0).shape()[1]});
  return {build("fold1d", {g.adjoint(0)}, attributes)};
}

Attributes with_kernel(const Window& window) {
  Attributes attributes = attributes_of(window);
  attributes.set("kernel", window.kernel);
  return attributes;
}

}  // namespace

OpDef records::unfold1d() {
  OpDef def{.name = "unfold1d",
            .doc = "Lays the time steps that a sliding window sees side by side (im2col).",
            .inputs = {{"x", "[batch, time, channels]"}},
            .outputs = {{"windows", "[batch, steps, kernel·channels]"}}};
  def.attributes = window_attributes();
  def.attributes.push_back({"kernel", AttributeKind::integer, "the number of taps", std::nullopt, 1, 1e9});
  def.traits.selection = true;
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<uint32_t>, forward<uint64_t>, forward<uint32_t>};
  def.vjp = vjp;
  def.cost = [](std::span<const TensorView>, std::span<const TensorView> outputs, const Attributes&) {
    return Cost{.bytes = 2 * static_cast<double>(outputs[0].bytes())};
  };
  const std::vector<double> four{1, 2, 3, 4};
  def.samples = {
      {"two taps", {{{1, 4, 1}, four}}, with_kernel({2}), {1, 2, 2, 3, 3, 4}},
      {"padded", {{{1, 2, 2}, four}}, with_kernel({3, 1, 1, 1, 1}), {0, 0, 1, 2, 3, 4, 1, 2, 3, 4, 0, 0}},
      {"stride and dilation", {{{1, 4, 1}, four}}, with_kernel({2, 2, 2, 0, 2}), {1, 3, 3, 0}},
      {"integers", {{.extents = {1, 2, 1}, .values = {1, 2}, .dtype = i32}}, with_kernel({2}), {1, 2}},
      {"batch", {{{2, 5, 3}}}, with_kernel({3, 2, 1, 2, 1})},
      {"no rows", {{{0, 4, 2}}}, with_kernel({2})},
      {"no channels", {{{2, 4, 0}}}, with_kernel({2})}};
  def.rejects = {{{{f32, {2, 3}}}, with_kernel({2}), "takes x [batch, time, channels]; got [2, 3]"},
                 {{{f32, {2, 3, 1}}},
                  with_kernel({3, 1, 2, 0, 1}),
                  "the window spans 5 time steps, but there are 4 with padding"},
                 {{{f32, {2, 3, 1}}}, with_kernel({0}), "'kernel' is 0; it must lie in [1, 1000000000]"}};
  return def;
}

Value unfold1d(Operand x, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad_before,
               int64_t pad_after) {
  return build("unfold1d", {x}, with_kernel({kernel, stride, dilation, pad_before, pad_after}));
}

}  // namespace lariat
