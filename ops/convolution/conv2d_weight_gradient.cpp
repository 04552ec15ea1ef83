#include <fmt/format.h>

#include "ops/convolution/convolution.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace conv2d_weight_gradient_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_one_dtype(c);
  check_float(c, 0, "x");
  check_images(c, 0, "x");
  check_images(c, 1, "d_y");
  const Shape &x = c.shape(0), &d = c.shape(1);
  const std::vector<int64_t>& kernel = checked_pair(c, "kernel");
  const Shape steps = checked_steps(window2d_of(c, kernel[0], kernel[1]), {x[1], x[2]});
  const Shape wanted{x[0], steps[0], steps[1], d[3]};
  if (d != wanted) c.fail(fmt::format("d_y is {}; over x {} it must be {}", text(d), text(x), text(wanted)));
  return {{c.in(0).dtype, {kernel[0], kernel[1], x[3], d[3]}}};
}

Convolution convolution(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                        const Attributes& attributes) {
  const Extents& w = outputs[0].extents;
  return convolution_of(inputs[0].extents, w, inputs[1].extents, window2d_of(attributes, w[0], w[1]));
}

template <class T>
void forward(const KernelContext& k) {
  convolve_weight_gradient(k.parallel, convolution(k.inputs, k.outputs, k.attributes), k.in<T>(0), k.in<T>(1),
                           k.out<T>(0), k.scratch);
}

Workspace workspace(const KernelContext& k) {
  const Convolution c = convolution(k.inputs, k.outputs, k.attributes);
  return k.outputs[0].dtype == f32 ? weight_gradient_workspace<float>(c)
                                   : weight_gradient_workspace<double>(c);
}

Adjoints vjp(const GradContext& g) {
  const Shape &image = g.in(0).shape(), &kernel = g.out(0).shape();
  const Window2d window = window2d_of(g.attributes(), kernel[0].size(), kernel[1].size());
  return {g.needs(0) ? conv2d_input_gradient(g.in(1), g.adjoint(0), window, image[1], image[2]) : Value(),
          g.needs(1) ? conv2d(g.in(0), g.adjoint(0), window) : Value()};
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
          const Attributes& attributes) {
  Cost cost = streaming_cost<0>(inputs, outputs, attributes);
  cost.flops = convolution(inputs, outputs, attributes).flops();
  return cost;
}

Attributes of_kernel(int64_t height, int64_t width, const Window2d& window = {}) {
  Attributes attributes = attributes_of(window);
  attributes.set("kernel", std::vector<int64_t>{height, width});
  return attributes;
}

}  // namespace conv2d_weight_gradient_detail

OpDef records::conv2d_weight_gradient() {
  using namespace conv2d_weight_gradient_detail;
  OpDef def{
      .name = "conv2d_weight_gradient",
      .doc = "The adjoint of conv2d's w; made by its gradient.",
      .inputs = {{"x", "f32 or f64 [batch, height, width, in]"}, {"d_y", "[batch, rows, columns, out]"}},
      .outputs = {{"d_w", "[kernel_height, kernel_width, in, out]"}}};
  def.attributes = window2d_attributes();
  def.attributes.push_back(
      {"kernel", AttributeKind::integers, "height and width of w", std::nullopt, 1, 1e9});
  def.traits.linear = {true};
  def.traits.product = true;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = workspace;
  def.vjp = vjp;
  def.cost = cost;
  def.samples = {
      {"one window", {{{1, 2, 2, 1}, {1, 2, 3, 4}}, {{1, 1, 1, 1}, {10}}}, of_kernel(2, 2), {10, 20, 30, 40}},
      {"two channels, two filters",
       {{{1, 2, 1, 2}, {1, 2, 3, 4}}, {{1, 2, 1, 2}, {1, 0, 0, 10}}},
       of_kernel(1, 1),
       {1, 30, 2, 40}},
      {"stride and dilation",
       {{{2, 6, 7, 2}}, {{2, 3, 3, 3}}},
       of_kernel(2, 3, {{2, 2, 2, 1, 0}, {3, 2, 1, 0, 1}})},
      {"many rows", {{{8, 9, 4, 1}}, {{8, 8, 4, 2}}}, of_kernel(2, 3, {{}, {3, 1, 1, 1, 1}})},
      {"no images", {{{0, 2, 1, 1}}, {{0, 1, 1, 1}}}, of_kernel(2, 1), {0, 0}}};
  def.rejects = {{{{f32, {1, 3, 3, 1}}, {f32, {1, 2, 1, 5}}},
                  of_kernel(2, 2),
                  "d_y is [1, 2, 1, 5]; over x [1, 3, 3, 1] it must be [1, 2, 2, 5]"},
                 {{{f32, {1, 3, 3, 1}}, {f32, {1, 2, 5}}},
                  of_kernel(2, 2),
                  "takes d_y [batch, height, width, channels]; got [1, 2, 5]"}};
  return def;
}

Value conv2d_weight_gradient(Operand x, Operand d_y, const Window2d& window) {
  using namespace conv2d_weight_gradient_detail;
  return build("conv2d_weight_gradient", {x, d_y},
               of_kernel(window.down.kernel, window.across.kernel, window));
}

}  // namespace lariat
