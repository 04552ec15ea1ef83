#include "ops/convolution/pooling.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace average_pool1d_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "x");
  return {{c.in(0).dtype, pooled(c)}};
}

// Time is the height of images one column wide.
template <class T>
void forward(const KernelContext& k) {
  const Extents &x = k.inputs[0].extents, &y = k.outputs[0].extents;
  const Pooling pooling =
      pooling_of({x[0], x[1], 1, x[2]}, {y[0], y[1], 1, y[2]}, {pool_of(k.attributes), {}});
  average_pool(k.parallel, pooling, k.in<T>(0), k.out<T>(0));
}

Adjoints vjp(const GradContext& g) {
  const Shape &x = g.in(0).shape(), &y = g.out(0).shape();
  const Window window = pool_of(g.attributes());
  const Value d = reshape(g.adjoint(0), {y[0], y[1], 1, y[2]});
  return {reshape(average_unpool2d(d, {window.kernel, 1}, {window.stride, 1}, x[1], 1), x)};
}

}  // namespace average_pool1d_detail

OpDef records::average_pool1d() {
  using namespace average_pool1d_detail;
  OpDef def{.name = "average_pool1d",
            .doc = "The mean over sliding windows of the time axis.",
            .inputs = {{"x", "f32 or f64 [batch, time, channels]"}},
            .outputs = {{"result", "[batch, steps, channels]"}}};
  def.attributes = pool_attributes();
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = streaming_cost<1>;
  const auto pool = [](int64_t size, int64_t stride) -> Attributes {
    return {{"size", size}, {"stride", stride}};
  };
  def.samples = {{"pairs", {{{1, 5, 1}, {1, 3, 2, -1, 9}}}, pool(2, 2), {2, 0.5}},
                 {"overlapping", {{{1, 3, 2}, {1, 2, 3, 4, 5, 6}}}, pool(2, 1), {2, 3, 4, 5}},
                 {"with gaps", {{{2, 6, 3}}}, pool(2, 3)},
                 {"windows of one", {{{1, 2, 2}}}, pool(1, 1)},
                 {"no rows", {{{0, 4, 2}}}, pool(2, 2)}};
  def.rejects = {
      {{{f32, {1, 2, 1}}}, pool(3, 1), "the window spans 3 time steps, but there are 2 with padding"},
      {{{i32, {1, 2, 1}}}, pool(1, 1), "x is i32[1, 2, 1]; it must be f32 or f64. Use cast"}};
  return def;
}

Value average_pool1d(Operand x, int64_t size, int64_t stride) {
  return build("average_pool1d", {x}, {{"size", size}, {"stride", stride}});
}

}  // namespace lariat
