#include <fmt/format.h>

#include "ops/convolution/pooling.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace average_unpool2d_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "d_y");
  check_images(c, 0, "d_y");
  const Shape &d = c.shape(0), &image = checked_image(c, "image");
  const std::vector<int64_t>&size = checked_pair(c, "size"), &stride = checked_pair(c, "stride");
  const Shape steps = checked_steps(Window2d{{size[0], stride[0]}, {size[1], stride[1]}}, image);
  const Shape wanted{d[0], steps[0], steps[1], d[3]};
  if (d != wanted)
    c.fail(fmt::format("d_y is {}; over images of {} it must be {}", text(d), text(image), text(wanted)));
  return {{c.in(0).dtype, {d[0], image[0], image[1], d[3]}}};
}

template <class T>
void forward(const KernelContext& k) {
  const Pooling pooling = pooling_of(k.outputs[0].extents, k.inputs[0].extents, pool2d_of(k.attributes));
  average_unpool(k.parallel, pooling, k.in<T>(0), k.out<T>(0));
}

Adjoints vjp(const GradContext& g) {
  const auto [down, across] = pool2d_of(g.attributes());
  return {average_pool2d(g.adjoint(0), {down.kernel, across.kernel}, {down.stride, across.stride})};
}

Attributes over(Shape image, Size2d size, Size2d stride) {
  Attributes attributes = pool_attributes_of(size, stride);
  attributes.set("image", std::move(image));
  return attributes;
}

}  // namespace average_unpool2d_detail

// The adjoint of average_pool2d.
OpDef records::average_unpool2d() {
  using namespace average_unpool2d_detail;
  OpDef def{.name = "average_unpool2d",
            .doc = "Spreads each value evenly over its window; made by the gradient of an average pooling.",
            .inputs = {{"d_y", "f32 or f64 [batch, rows, columns, channels]"}},
            .outputs = {{"d_x", "[batch, height, width, channels]"}}};
  def.attributes = pool2d_attributes();
  def.attributes.push_back({"image", AttributeKind::shape, "[height, width] of the result"});
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = streaming_cost<2>;
  def.samples = {{"quarters",
                  {{{1, 1, 2, 1}, {4, 8}}},
                  over({3, 4}, {2, 2}, {2, 2}),
                  {1, 1, 2, 2, 1, 1, 2, 2, 0, 0, 0, 0}},
                 {"one column", {{{1, 2, 1, 1}, {2, 4}}}, over({5, 1}, {2, 1}, {2, 1}), {1, 1, 2, 2, 0}},
                 {"overlapping", {{{1, 1, 2, 1}, {2, 4}}}, over({1, 3}, {1, 2}, {1, 1}), {1, 3, 2}},
                 {"with gaps", {{{2, 2, 3, 3}}}, over({5, 6}, {2, 1}, {3, 2})},
                 {"no images", {{{0, 2, 2, 2}}}, over({4, 4}, {2, 2}, {2, 2})}};
  def.rejects = {{{{f32, {1, 2, 2, 1}}},
                  over({6, 4}, {2, 2}, {2, 2}),
                  "d_y is [1, 2, 2, 1]; over images of [6, 4] it must be [1, 3, 2, 1]"}};
  return def;
}

Value average_unpool2d(Operand d_y, Size2d size, Size2d stride, Dim height, Dim width) {
  using namespace average_unpool2d_detail;
  return build("average_unpool2d", {d_y}, over({height, width}, size, stride));
}

}  // namespace lariat
