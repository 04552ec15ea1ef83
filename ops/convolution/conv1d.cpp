#include <fmt/format.h>

#include "graph/base/error.hpp"
#include "ops/convolution/convolution.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace conv1d_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_one_dtype(c);
  check_float(c, 0, "x");
  check_sequence(c, "x");
  const Shape &x = c.shape(0), &w = c.shape(1);
  if (w.size() != 3 || !w[0].known() || w[0].size() < 1 || !(w[1] == x[2]))
    c.fail(fmt::format("x is {} and w {}; w must be [kernel, {}, out]", text(x), text(w), x[2].text()));
  return {{c.in(0).dtype, {x[0], checked_steps(window_of(c, w[0].size()), x[1]), w[2]}}};
}

// Time is the width of images one row high: where windows overlap, x is copied once with its padding, and not
// once for each tap.
Convolution convolution(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                        const Attributes& attributes) {
  const Extents &x = inputs[0].extents, &w = inputs[1].extents, &y = outputs[0].extents;
  return convolution_of({x[0], 1, x[1], x[2]}, {1, w[0], w[1], w[2]}, {y[0], 1, y[1], y[2]},
                        {{}, window_of(attributes, w[0])});
}

template <class T>
void forward(const KernelContext& k) {
  convolve(k.parallel, convolution(k.inputs, k.outputs, k.attributes), k.in<T>(0), k.in<T>(1), k.out<T>(0),
           k.scratch, static_cast<const PackedMatrix*>(k.packed));
}

Workspace workspace(const KernelContext& k) {
  const Convolution c = convolution(k.inputs, k.outputs, k.attributes);
  const auto* packed = static_cast<const PackedMatrix*>(k.packed);
  return k.outputs[0].dtype == f32 ? convolve_workspace<float>(c, packed)
                                   : convolve_workspace<double>(c, packed);
}

std::shared_ptr<const void> pack(const KernelContext& k) {
  return pack_kernel(k, convolution(k.inputs, k.outputs, k.attributes));
}

Adjoints vjp(const GradContext& g) {
  const Shape &x = g.in(0).shape(), &w = g.in(1).shape();
  const auto images = [](Value v) {
    const Shape& shape = v.shape();
    return reshape(v, {shape[0], shape[1], 1, shape[2]});
  };
  const Window2d window{window_of(g.attributes(), w[0].size()), {}};
  const Value d = images(g.adjoint(0));
  Value dx, dw;
  if (g.needs(0)) {
    const Value kernel = reshape(g.in(1), {w[0], 1, w[1], w[2]});
    dx = reshape(conv2d_input_gradient(d, kernel, window, x[1], 1), x);
  }
  if (g.needs(1)) dw = reshape(conv2d_weight_gradient(images(g.in(0)), d, window), w);
  return {dx, dw};
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
          const Attributes& attributes) {
  Cost cost = streaming_cost<0>(inputs, outputs, attributes);
  cost.flops = convolution(inputs, outputs, attributes).flops();
  return cost;
}

}  // namespace conv1d_detail

OpDef records::conv1d() {
  using namespace conv1d_detail;
  OpDef def{.name = "conv1d",
            .doc = "Convolution over time (cross-correlation: the kernel is not flipped).",
            .inputs = {{"x", "f32 or f64 [batch, time, in]"}, {"w", "[kernel, in, out]"}},
            .outputs = {{"y", "[batch, steps, out]"}}};
  def.attributes = window_attributes();
  def.traits.linear = {true};
  def.traits.product = true;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = workspace;
  def.pack = pack;
  def.vjp = vjp;
  def.cost = cost;
  const std::vector<double> four{1, 2, 3, 4};
  def.samples = {{"difference", {{{1, 4, 1}, {1, 2, 4, 8}}, {{2, 1, 1}, {-1, 1}}}, {}, {1, 2, 4}},
                 {"padded",
                  {{{1, 3, 1}, {1, 2, 3}}, {{3, 1, 1}, {1, 10, 100}}},
                  attributes_of(Window{3, 1, 1, 1, 1}),
                  {210, 321, 32}},
                 {"two channels", {{{1, 2, 2}, four}, {{1, 2, 2}, {1, 0, 1, 1}}}, {}, {3, 2, 7, 4}},
                 {"stride", {{{2, 7, 2}}, {{3, 2, 4}}}, attributes_of(Window{3, 2, 1, 1, 1})},
                 {"dilation", {{{2, 7, 2}}, {{3, 2, 4}}}, attributes_of(Window{3, 1, 2, 0, 0})},
                 {"one tap with stride", {{{2, 4, 2}}, {{1, 2, 3}}}, attributes_of(Window{1, 2, 1, 0, 0})},
                 {"no rows", {{{0, 4, 2}}, {{3, 2, 1}}}},
                 {"no channels", {{{1, 2, 0}}, {{1, 0, 1}}}, {}, {0, 0}}};
  def.rejects = {{{{f32, {2, 9, 3}}, {f32, {5, 4, 8}}},
                  {},
                  "x is [2, 9, 3] and w [5, 4, 8]; w must be [kernel, 3, out]"},
                 {{{f32, {2, 4, 3}}, {f32, {5, 3, 8}}},
                  {},
                  "the window spans 5 time steps, but there are 4 with padding"},
                 {{{f32, {9, 3}}, {f32, {5, 3, 8}}}, {}, "takes x [batch, time, channels]; got [9, 3]"}};
  return def;
}

Value conv1d(Operand x, Operand w, int64_t stride, const std::string& padding, int64_t dilation) {
  // Without a kernel size the record refuses w's shape.
  const bool sized = w.value && w.value.rank() == 3 && w.value.shape()[0].known();
  const auto window = padded_window(sized ? w.value.shape()[0].size() : 1, stride, dilation, padding);
  if (!window)
    refuse("conv1d", x,
           fmt::format("the padding '{}' is unknown; it must be \"same\", \"causal\" or \"valid\"", padding));
  return build("conv1d", {x, w}, attributes_of(*window));
}

}  // namespace lariat
