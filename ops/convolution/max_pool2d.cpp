#include "ops/convolution/pooling.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace max_pool2d_detail {

std::vector<TensorType> infer(const InferContext& c) {
  const Shape shape = pooled2d(c);
  return {{c.in(0).dtype, shape}, {i32, shape}};
}

template <class T>
void forward(const KernelContext& k) {
  const Pooling pooling = pooling_of(k.inputs[0].extents, k.outputs[0].extents, pool2d_of(k.attributes));
  max_pool(k.parallel, pooling, k.in<T>(0), k.out<T>(0), k.out<int32_t>(1));
}

// The pixels of an image are so many steps.
Adjoints vjp(const GradContext& g) {
  const Shape &x = g.in(0).shape(), &y = g.out(0).shape();
  const Shape steps{y[0], y[1] * y[2], y[3]};
  return {reshape(scatter_add_steps(reshape(g.adjoint(0), steps), reshape(g.out(1), steps), x[1] * x[2]), x)};
}

}  // namespace max_pool2d_detail

OpDef records::max_pool2d() {
  using namespace max_pool2d_detail;
  OpDef def{
      .name = "max_pool2d",
      .doc = "The maximum over sliding windows of height and width; NaN counts as the largest.",
      .inputs = {{"x", "[batch, height, width, channels]"}},
      .outputs = {{"result", "[batch, rows, columns, channels]"},
                  {"places", "i32, like result: row·width + column of each maximum, the first of equals"}}};
  def.attributes = pool2d_attributes();
  def.traits.optional_outputs = 1;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.vjp = vjp;
  def.cost = streaming_cost<2>;
  def.kinks = "Where several elements of a window are the maximum, the first one gets the whole adjoint.";
  const std::vector<double> ramp{0.1,  0.9, 0.4,  -0.3, 0.7, 0.2,  -0.8, 0.6,
                                 -0.5, 0.3, -0.1, 0.5,  0.8, -0.6, -0.2, 1.0};
  def.samples = {{"quarters",
                  {{{1, 3, 4, 1}, {1, 3, 2, -1, 0, 4, -2, -3, 9, 9, 9, 9}}},
                  pool_attributes_of({2, 2}, {2, 2}),
                  {4, 2}},
                 {"first of equals",
                  {{.extents = {1, 2, 2, 1}, .values = {2, 2, 1, 2}, .dtype = i32}},
                  pool_attributes_of({2, 2}, {1, 1}),
                  {2}},
                 {"overlapping", {{{1, 4, 4, 1}, ramp}}, pool_attributes_of({2, 3}, {1, 1})},
                 {"with gaps", {{{1, 4, 2, 2}, ramp}}, pool_attributes_of({1, 1}, {2, 2})},
                 {"two images", {{{2, 2, 2, 2}, ramp}}, pool_attributes_of({2, 1}, {1, 1})},
                 {"no images", {{{0, 4, 4, 2}}}, pool_attributes_of({2, 2}, {2, 2})}};
  def.rejects = {{{{f32, {1, 2, 4, 1}}},
                  pool_attributes_of({3, 2}, {1, 1}),
                  "the window spans 3 rows, but there are 2 with padding"},
                 {{{f32, {2, 3, 4}}},
                  pool_attributes_of({2, 2}, {2, 2}),
                  "takes x [batch, height, width, channels]; got [2, 3, 4]"},
                 {{{f32, {1, 2, 4, 1}}},
                  {{"size", std::vector<int64_t>{2}}, {"stride", std::vector<int64_t>{2, 2}}},
                  "'size' is [2]; it must be two numbers, for height and width"}};
  return def;
}

Value max_pool2d(Operand x, Size2d size, Size2d stride) {
  return build("max_pool2d", {x}, pool_attributes_of(size, stride));
}

}  // namespace lariat
