#include "ops/convolution/pooling.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace average_pool2d_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "x");
  return {{c.in(0).dtype, pooled2d(c)}};
}

template <class T>
void forward(const KernelContext& k) {
  const Pooling pooling = pooling_of(k.inputs[0].extents, k.outputs[0].extents, pool2d_of(k.attributes));
  average_pool(k.parallel, pooling, k.in<T>(0), k.out<T>(0));
}

Adjoints vjp(const GradContext& g) {
  const Shape& x = g.in(0).shape();
  const auto [down, across] = pool2d_of(g.attributes());
  return {
      average_unpool2d(g.adjoint(0), {down.kernel, across.kernel}, {down.stride, across.stride}, x[1], x[2])};
}

}  // namespace average_pool2d_detail

OpDef records::average_pool2d() {
  using namespace average_pool2d_detail;
  OpDef def{.name = "average_pool2d",
            .doc = "The mean over sliding windows of height and width.",
            .inputs = {{"x", "f32 or f64 [batch, height, width, channels]"}},
            .outputs = {{"result", "[batch, rows, columns, channels]"}}};
  def.attributes = pool2d_attributes();
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = streaming_cost<1>;
  def.samples = {{"quarters",
                  {{{1, 3, 4, 1}, {1, 3, 2, -1, 0, 4, -2, -3, 9, 9, 9, 9}}},
                  pool_attributes_of({2, 2}, {2, 2}),
                  {2, -1}},
                 {"overlapping",
                  {{{1, 2, 3, 1}, {1, 2, 3, 4, 5, 6}}},
                  pool_attributes_of({1, 2}, {1, 1}),
                  {1.5, 2.5, 4.5, 5.5}},
                 {"with gaps", {{{2, 5, 6, 3}}}, pool_attributes_of({2, 1}, {3, 2})},
                 {"no images", {{{0, 4, 4, 2}}}, pool_attributes_of({2, 2}, {2, 2})}};
  def.rejects = {{{{f32, {1, 2, 2, 1}}},
                  pool_attributes_of({1, 3}, {1, 1}),
                  "the window spans 3 columns, but there are 2 with padding"},
                 {{{i32, {1, 2, 1, 1}}},
                  pool_attributes_of({1, 1}, {1, 1}),
                  "x is i32[1, 2, 1, 1]; it must be f32 or f64. Use cast"}};
  return def;
}

Value average_pool2d(Operand x, Size2d size, Size2d stride) {
  return build("average_pool2d", {x}, pool_attributes_of(size, stride));
}

}  // namespace lariat
