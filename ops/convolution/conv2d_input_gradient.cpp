#include <fmt/format.h>

#include "ops/convolution/convolution.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace conv2d_input_gradient_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_one_dtype(c);
  check_float(c, 0, "d_y");
  check_images(c, 0, "d_y");
  const Shape &d = c.shape(0), &w = c.shape(1), &image = checked_image(c, "image");
  if (w.size() != 4 || !w[0].known() || !w[1].known())
    c.fail(fmt::format("w is {}; it must be [kernel_height, kernel_width, in, out]", text(w)));
  const Shape steps = checked_steps(window2d_of(c, w[0].size(), w[1].size()), image);
  const Shape wanted{d[0], steps[0], steps[1], w[3]};
  if (d != wanted)
    c.fail(fmt::format("d_y is {}; over images of {} it must be {}", text(d), text(image), text(wanted)));
  return {{c.in(0).dtype, {d[0], image[0], image[1], w[2]}}};
}

Convolution convolution(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                        const Attributes& attributes) {
  const Extents& w = inputs[1].extents;
  return convolution_of(outputs[0].extents, w, inputs[0].extents, window2d_of(attributes, w[0], w[1]));
}

template <class T>
void forward(const KernelContext& k) {
  convolve_input_gradient(k.parallel, convolution(k.inputs, k.outputs, k.attributes), k.in<T>(0), k.in<T>(1),
                          k.out<T>(0), k.scratch);
}

Workspace workspace(const KernelContext& k) {
  const Convolution c = convolution(k.inputs, k.outputs, k.attributes);
  return k.outputs[0].dtype == f32 ? input_gradient_workspace<float>(c) : input_gradient_workspace<double>(c);
}

Adjoints vjp(const GradContext& g) {
  const Shape& kernel = g.in(1).shape();
  const Window2d window = window2d_of(g.attributes(), kernel[0].size(), kernel[1].size());
  return {g.needs(0) ? conv2d(g.adjoint(0), g.in(1), window) : Value(),
          g.needs(1) ? conv2d_weight_gradient(g.adjoint(0), g.in(0), window) : Value()};
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
          const Attributes& attributes) {
  Cost cost = streaming_cost<0>(inputs, outputs, attributes);
  cost.flops = convolution(inputs, outputs, attributes).flops();
  return cost;
}

Attributes over(Shape image, const Window2d& window) {
  Attributes attributes = attributes_of(window);
  attributes.set("image", std::move(image));
  return attributes;
}

}  // namespace conv2d_input_gradient_detail

// The adjoint of conv2d in x, known as the transposed convolution.
OpDef records::conv2d_input_gradient() {
  using namespace conv2d_input_gradient_detail;
  OpDef def{.name = "conv2d_input_gradient",
            .doc = "The adjoint of conv2d's x; made by its gradient.",
            .inputs = {{"d_y", "f32 or f64 [batch, rows, columns, out]"},
                       {"w", "[kernel_height, kernel_width, in, out]"}},
            .outputs = {{"d_x", "[batch, height, width, in]"}}};
  def.attributes = window2d_attributes();
  def.attributes.push_back({"image", AttributeKind::shape, "[height, width] of x"});
  def.traits.linear = {true};
  def.traits.product = true;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = workspace;
  def.vjp = vjp;
  def.cost = cost;
  def.samples = {
      {"diagonal",
       {{{1, 2, 2, 1}, {1, 2, 3, 4}}, {{2, 2, 1, 1}, {1, 0, 0, 1}}},
       over({3, 3}, {}),
       {1, 2, 0, 3, 5, 2, 0, 3, 4}},
      {"padded",
       {{{1, 1, 2, 1}, {1, 2}}, {{1, 3, 1, 1}, {1, 10, 100}}},
       over({1, 2}, {{}, {3, 1, 1, 1, 1}}),
       {12, 120}},
      {"stride and dilation",
       {{{2, 3, 3, 3}}, {{2, 3, 2, 3}}},
       over({6, 7}, {{2, 2, 2, 1, 0}, {3, 2, 1, 0, 1}})},
      {"many rows", {{{8, 8, 4, 2}}, {{2, 3, 1, 2}}}, over({9, 4}, {{}, {3, 1, 1, 1, 1}})},
      {"rows in bands", {{{1, 31, 3, 1}}, {{2, 3, 1, 1}}}, over({31, 3}, {{2, 1, 1, 0, 1}, {3, 1, 1, 1, 1}})},
      {"no images", {{{0, 2, 2, 1}}, {{3, 3, 2, 1}}}, over({4, 4}, {})}};
  def.rejects = {{{{f32, {1, 2, 2, 1}}, {f32, {2, 2, 1, 1}}},
                  over({3, 4}, {}),
                  "d_y is [1, 2, 2, 1]; over images of [3, 4] it must be [1, 2, 3, 1]"},
                 {{{f32, {1, 2, 2, 1}}, {f32, {2, 2, 1, 1}}},
                  over({3}, {}),
                  "'image' is [3]; it must be a shape of two dimensions"},
                 {{{f32, {1, 2, 2, 1}}, {f32, {2, 2, 1}}},
                  over({3, 3}, {}),
                  "w is [2, 2, 1]; it must be [kernel_height, kernel_width, in, out]"}};
  return def;
}

Value conv2d_input_gradient(Operand d_y, Operand w, const Window2d& window, Dim height, Dim width) {
  using namespace conv2d_input_gradient_detail;
  return build("conv2d_input_gradient", {d_y, w}, over({height, width}, window));
}

}  // namespace lariat
