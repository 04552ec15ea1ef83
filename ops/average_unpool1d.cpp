#include <fmt/format.h>

#include "graph/builder.hpp"
#include "ops/axes.hpp"
#include "ops/records.hpp"
#include "ops/window.hpp"

namespace lariat {

namespace {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "values");
  check_sequence(c, "values");
  const Shape &values = c.shape(0), &time = c.attribute<Shape>("time");
  if (time.size() != 1) c.fail(fmt::format("'time' is {}; it must be a shape of one dimension", text(time)));
  const Window window{c.attribute<int64_t>("size"), c.attribute<int64_t>("stride")};
  const Dim steps = checked_steps(window, time[0]);
  if (!(values[1] == steps))
    c.fail(fmt::format("values is {}; over {} time steps there must be {} of them", text(values),
                       time[0].text(), steps.text()));
  return {{c.in(0).dtype, {values[0], time[0], values[2]}}};
}

// y[t] = (1/size) Σ of the steps s with s·stride ≤ t < s·stride + size.
template <class T>
void forward(const KernelContext& k) {
  const int64_t size = k.attributes.get<int64_t>("size"), stride = k.attributes.get<int64_t>("stride");
  const int64_t steps = k.inputs[0].extents[1], time = k.outputs[0].extents[1],
                channels = k.outputs[0].extents[2];
  const T scale = T(1) / static_cast<T>(size);
  const int64_t overlap = (size + stride - 1) / stride;
  k.parallel.run(k.outputs[0].extents[0] * time, rows_per_task(overlap * channels),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     const int64_t t = row % time;
                     const T* values = k.in<T>(0) + row / time * steps * channels;
                     T* y = k.out<T>(0) + row * channels;
                     std::fill_n(y, channels, T(0));
                     const int64_t first = t < size ? 0 : (t - size) / stride + 1,
                                   last = std::min(t / stride, steps - 1);
                     for (int64_t s = first; s <= last; ++s)
                       for (int64_t j = 0; j < channels; ++j) y[j] += values[s * channels + j];
                     for (int64_t j = 0; j < channels; ++j) y[j] *= scale;
                   }
                 });
}

}  // namespace

// The adjoint of average_pool1d.
OpDef records::average_unpool1d() {
  OpDef def{.name = "average_unpool1d",
            .doc = "Spreads each value evenly over the time steps of its window.",
            .inputs = {{"values", "f32 or f64 [batch, steps, channels]"}},
            .outputs = {{"result", "[batch, time, channels]"}}};
  def.attributes = {
      {"size", AttributeKind::integer, "time steps of one window", std::nullopt, 1, 1e9},
      {"stride", AttributeKind::integer, "time steps from one window to the next", std::nullopt, 1, 1e9},
      {"time", AttributeKind::shape, "the number of time steps, as a shape of one dimension"}};
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = [](const GradContext& g) -> Adjoints {
    const Attributes& a = g.attributes();
    const Attributes pool{{"size", a.get<int64_t>("size")}, {"stride", a.get<int64_t>("stride")}};
    return {build("average_pool1d", {g.adjoint(0)}, pool)};
  };
  def.cost = streaming_cost<2>;
  const auto pool = [](int64_t time, int64_t size, int64_t stride) -> Attributes {
    return {{"size", size}, {"stride", stride}, {"time", Shape{time}}};
  };
  def.samples = {{"pairs", {{{1, 2, 1}, {2, 4}}}, pool(5, 2, 2), {1, 1, 2, 2, 0}},
                 {"overlapping", {{{1, 2, 1}, {2, 4}}}, pool(3, 2, 1), {1, 3, 2}},
                 {"with gaps", {{{2, 2, 3}}}, pool(6, 2, 3)},
                 {"no rows", {{{0, 2, 2}}}, pool(4, 2, 2)}};
  def.rejects = {
      {{{f32, {1, 2, 1}}}, pool(6, 2, 2), "values is [1, 2, 1]; over 6 time steps there must be 3 of them"}};
  return def;
}

}  // namespace lariat
