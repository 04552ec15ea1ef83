#include "ops/convolution/pooling.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace max_pool1d_detail {

std::vector<TensorType> infer(const InferContext& c) {
  const Shape shape = pooled(c);
  return {{c.in(0).dtype, shape}, {i32, shape}};
}

// Time is the height of images one column wide.
template <class T>
void forward(const KernelContext& k) {
  const Extents &x = k.inputs[0].extents, &y = k.outputs[0].extents;
  const Pooling pooling =
      pooling_of({x[0], x[1], 1, x[2]}, {y[0], y[1], 1, y[2]}, {pool_of(k.attributes), {}});
  max_pool(k.parallel, pooling, k.in<T>(0), k.out<T>(0), k.out<int32_t>(1));
}

}  // namespace max_pool1d_detail

OpDef records::max_pool1d() {
  using namespace max_pool1d_detail;
  OpDef def{.name = "max_pool1d",
            .doc = "The maximum over sliding windows of the time axis; NaN counts as the largest.",
            .inputs = {{"x", "[batch, time, channels]"}},
            .outputs = {{"result", "[batch, steps, channels]"},
                        {"indices", "i32, like result: the time step of each maximum, the first of equals"}}};
  def.attributes = pool_attributes();
  def.traits.optional_outputs = 1;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {scatter_add_steps(g.adjoint(0), g.out(1), g.in(0).shape()[1])};
  };
  def.cost = streaming_cost<2>;
  def.kinks = "Where several elements of a window are the maximum, the first one gets the whole adjoint.";
  const auto pool = [](int64_t size, int64_t stride) -> Attributes {
    return {{"size", size}, {"stride", stride}};
  };
  const std::vector<double> ramp{0.1, 0.9, 0.4, -0.3, 0.7, 0.2, -0.8, 0.6, -0.5, 0.3, -0.1, 0.5};
  def.samples = {
      {"pairs", {{{1, 4, 1}, {1, 3, 2, -1}}}, pool(2, 2), {3, 2}},
      {"first of equals", {{.extents = {1, 3, 1}, .values = {2, 2, 1}, .dtype = i32}}, pool(3, 1), {2}},
      {"overlapping", {{{2, 3, 2}, ramp}}, pool(2, 1)},
      {"with gaps", {{{1, 6, 2}, ramp}}, pool(2, 3)},
      {"windows of one", {{{1, 2, 2}}}, pool(1, 1)},
      {"no rows", {{{0, 4, 2}}}, pool(2, 2)}};
  def.rejects = {
      {{{f32, {1, 2, 1}}}, pool(3, 1), "the window spans 3 time steps, but there are 2 with padding"},
      {{{f32, {2, 3}}}, pool(2, 2), "takes x [batch, time, channels]; got [2, 3]"}};
  return def;
}

Value max_pool1d(Operand x, int64_t size, int64_t stride) {
  return build("max_pool1d", {x}, {{"size", size}, {"stride", stride}});
}

}  // namespace lariat
