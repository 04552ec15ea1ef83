#include <fmt/format.h>

#include "graph/base/error.hpp"
#include "ops/convolution/convolution.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace conv2d_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_one_dtype(c);
  check_float(c, 0, "x");
  check_images(c, 0, "x");
  const Shape &x = c.shape(0), &w = c.shape(1);
  const auto sized = [&](size_t axis) { return w[axis].known() && w[axis].size() > 0; };
  if (w.size() != 4 || !sized(0) || !sized(1) || !(w[2] == x[3]))
    c.fail(fmt::format("x is {} and w {}; w must be [kernel_height, kernel_width, {}, out]", text(x), text(w),
                       x[3].text()));
  const Shape steps = checked_steps(window2d_of(c, w[0].size(), w[1].size()), {x[1], x[2]});
  return {{c.in(0).dtype, {x[0], steps[0], steps[1], w[3]}}};
}

Convolution convolution(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                        const Attributes& attributes) {
  const Extents& w = inputs[1].extents;
  return convolution_of(inputs[0].extents, w, outputs[0].extents, window2d_of(attributes, w[0], w[1]));
}

template <class T>
void forward(const KernelContext& k) {
  convolve(k.parallel, convolution(k.inputs, k.outputs, k.attributes), k.in<T>(0), k.in<T>(1), k.out<T>(0),
           k.scratch, static_cast<const PackedMatrix*>(k.packed));
}

std::shared_ptr<const void> pack(const KernelContext& k) {
  return pack_kernel(k, convolution(k.inputs, k.outputs, k.attributes));
}

Workspace workspace(const KernelContext& k) {
  const Convolution c = convolution(k.inputs, k.outputs, k.attributes);
  const auto* packed = static_cast<const PackedMatrix*>(k.packed);
  return k.outputs[0].dtype == f32 ? convolve_workspace<float>(c, packed)
                                   : convolve_workspace<double>(c, packed);
}

Adjoints vjp(const GradContext& g) {
  const Value x = g.in(0), w = g.in(1), d = g.adjoint(0);
  const Shape &image = x.shape(), &kernel = w.shape();
  const Window2d window = window2d_of(g.attributes(), kernel[0].size(), kernel[1].size());
  return {g.needs(0) ? conv2d_input_gradient(d, w, window, image[1], image[2]) : Value(),
          g.needs(1) ? conv2d_weight_gradient(x, d, window) : Value()};
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
          const Attributes& attributes) {
  Cost cost = streaming_cost<0>(inputs, outputs, attributes);
  cost.flops = convolution(inputs, outputs, attributes).flops();
  return cost;
}

}  // namespace conv2d_detail

OpDef records::conv2d() {
  using namespace conv2d_detail;
  OpDef def{.name = "conv2d",
            .doc = "Convolution over height and width (cross-correlation: the kernel is not flipped).",
            .inputs = {{"x", "f32 or f64 [batch, height, width, in]"},
                       {"w", "[kernel_height, kernel_width, in, out]"}},
            .outputs = {{"y", "[batch, rows, columns, out]"}}};
  def.attributes = window2d_attributes();
  def.traits.linear = {true};
  def.traits.product = true;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = workspace;
  def.pack = pack;
  def.vjp = vjp;
  def.cost = cost;
  const std::vector<double> nine{1, 2, 3, 4, 5, 6, 7, 8, 9};
  const auto window = [](Window down, Window across) { return attributes_of(Window2d{down, across}); };
  def.samples = {{"diagonal", {{{1, 3, 3, 1}, nine}, {{2, 2, 1, 1}, {1, 0, 0, 1}}}, {}, {6, 8, 12, 14}},
                 {"padded",
                  {{{1, 2, 2, 1}, {1, 2, 3, 4}}, {{2, 3, 1, 1}, {1, 10, 100, 1000, 1e4, 1e5}}},
                  window({2, 1, 1, 0, 1}, {3, 1, 1, 1, 1}),
                  {430210, 43021, 430, 43}},
                 {"two channels, two filters",
                  {{{1, 1, 2, 2}, {1, 2, 3, 4}}, {{1, 2, 2, 2}, {1, 0, 0, 1, 1, 0, 0, 1}}},
                  {},
                  {4, 6}},
                 {"stride", {{{2, 5, 6, 2}}, {{3, 2, 2, 3}}}, window({3, 2, 1, 1, 1}, {2, 3, 1, 0, 1})},
                 {"dilation", {{{2, 5, 6, 2}}, {{2, 3, 2, 3}}}, window({2, 1, 3, 1, 0}, {3, 1, 2, 0, 1})},
                 {"many rows", {{{8, 9, 4, 1}}, {{2, 3, 1, 2}}}, window({2, 1, 1, 0, 0}, {3, 1, 1, 1, 0})},
                 {"more padding than kernel",
                  {{{1, 1, 2, 1}}, {{1, 2, 1, 1}}},
                  window({1, 1, 1, 2, 1}, {2, 2, 1, 3, 2})},
                 {"no images", {{{0, 4, 4, 2}}, {{3, 3, 2, 1}}}},
                 {"no channels", {{{1, 2, 1, 0}}, {{1, 1, 0, 1}}}, {}, {0, 0}}};
  const TensorType image{f32, {2, 9, 8, 3}}, kernel{f32, {3, 3, 3, 4}};
  def.rejects = {
      {{image, {f32, {3, 3, 4, 4}}},
       {},
       "x is [2, 9, 8, 3] and w [3, 3, 4, 4]; w must be [kernel_height, kernel_width, 3, out]"},
      {{{f32, {2, 9, 2, 3}}, kernel}, {}, "the window spans 3 columns, but there are 2 with padding"},
      {{{f32, {2, 2, 9, 3}}, kernel}, {}, "the window spans 3 rows, but there are 2 with padding"},
      {{{f32, {2, 9, 3}}, kernel}, {}, "takes x [batch, height, width, channels]; got [2, 9, 3]"},
      {{image, kernel},
       {{"stride", std::vector<int64_t>{1, 0}}},
       "'stride' is 0; it must lie in [1, 1000000000]"},
      {{image, kernel},
       {{"stride", std::vector<int64_t>{2}}},
       "'stride' is [2]; it must be two numbers, for height and width"}};
  return def;
}

Value conv2d(Operand x, Operand w, const Window2d& window) {
  return build("conv2d", {x, w}, attributes_of(window));
}

Value conv2d(Operand x, Operand w, Size2d stride, const std::string& padding, Size2d dilation) {
  // Without a kernel size the record refuses w's shape.
  const auto size = [&](size_t axis) {
    return w.value && w.value.rank() == 4 && w.value.shape()[axis].known() ? w.value.shape()[axis].size() : 1;
  };
  if (padding != "same" && padding != "valid")
    refuse("conv2d", x,
           fmt::format("the padding '{}' is unknown; it must be \"same\" or \"valid\"", padding));
  return conv2d(x, w,
                Window2d{*padded_window(size(0), stride.height, dilation.height, padding),
                         *padded_window(size(1), stride.width, dilation.width, padding)});
}

}  // namespace lariat
