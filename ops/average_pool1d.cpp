#include "ops/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/window.hpp"

namespace lariat {

namespace {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "x");
  check_sequence(c, "x");
  const Window window{c.attribute<int64_t>("size"), c.attribute<int64_t>("stride")};
  const Shape& x = c.shape(0);
  return {{c.in(0).dtype, {x[0], checked_steps(window, x[1]), x[2]}}};
}

template <class T>
void forward(const KernelContext& k) {
  const int64_t size = k.attributes.get<int64_t>("size"), stride = k.attributes.get<int64_t>("stride");
  const int64_t time = k.inputs[0].extents[1], steps = k.outputs[0].extents[1],
                channels = k.outputs[0].extents[2];
  const T scale = T(1) / static_cast<T>(size);
  k.parallel.run(k.outputs[0].extents[0] * steps, rows_per_task(size * channels),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     const T* x = k.in<T>(0) + (row / steps * time + row % steps * stride) * channels;
                     T* y = k.out<T>(0) + row * channels;
                     std::copy_n(x, channels, y);
                     for (int64_t tap = 1; tap < size; ++tap)
                       for (int64_t j = 0; j < channels; ++j) y[j] += x[tap * channels + j];
                     for (int64_t j = 0; j < channels; ++j) y[j] *= scale;
                   }
                 });
}

}  // namespace

OpDef records::average_pool1d() {
  OpDef def{.name = "average_pool1d",
            .doc = "The mean over sliding windows of the time axis.",
            .inputs = {{"x", "f32 or f64 [batch, time, channels]"}},
            .outputs = {{"result", "[batch, steps, channels]"}}};
  def.attributes = {
      {"size", AttributeKind::integer, "time steps of one window", std::nullopt, 1, 1e9},
      {"stride", AttributeKind::integer, "time steps from one window to the next", std::nullopt, 1, 1e9}};
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = [](const GradContext& g) -> Adjoints {
    Attributes attributes = g.attributes();
    attributes.set("time", Shape{g.in(0).shape()[1]});
    return {build("average_unpool1d", {g.adjoint(0)}, attributes)};
  };
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
