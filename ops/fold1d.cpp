#include <fmt/format.h>

#include "ops/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/window.hpp"

namespace lariat {

namespace {

std::vector<TensorType> infer(const InferContext& c) {
  check_sequence(c, "windows");
  const Shape &x = c.shape(0), &time = c.attribute<Shape>("time");
  const int64_t kernel = c.attribute<int64_t>("kernel");
  if (time.size() != 1) c.fail(fmt::format("'time' is {}; it must be a shape of one dimension", text(time)));
  const Dim steps = checked_steps(window_of(c, kernel), time[0]), channels = floor_divide(x[2], kernel);
  if (!(channels * Dim(kernel) == x[2]))
    c.fail(fmt::format("windows is {}; its last dimension must be a multiple of the kernel {}", text(x),
                       kernel));
  if (!(x[1] == steps))
    c.fail(fmt::format("windows is {}; over {} time steps there must be {} of them", text(x), time[0].text(),
                       steps.text()));
  return {{c.in(0).dtype, {x[0], time[0], channels}}};
}

// y[t] = Σ over taps k of window s with s·stride - before + k·dilation = t.
template <class T>
void forward(const KernelContext& k) {
  const Window window = window_of(k.attributes, k.attributes.get<int64_t>("kernel"));
  const int64_t steps = k.inputs[0].extents[1], time = k.outputs[0].extents[1],
                channels = k.outputs[0].extents[2];
  const int64_t width = window.kernel * channels;
  k.parallel.run(k.outputs[0].extents[0] * time, rows_per_task(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* y = k.out<T>(0) + row * channels;
      const T* windows = k.in<T>(0) + row / time * steps * width;
      std::fill_n(y, channels, T(0));
      for (int64_t tap = 0; tap < window.kernel; ++tap) {
        const int64_t from = row % time + window.before - tap * window.dilation;
        if (from < 0) break;
        const int64_t step = from / window.stride;
        if (step * window.stride != from || step >= steps) continue;
        const T* x = windows + step * width + tap * channels;
        for (int64_t j = 0; j < channels; ++j) y[j] += x[j];
      }
    }
  });
}

Adjoints vjp(const GradContext& g) {
  Attributes attributes;
  for (const auto& [name, value] : g.attributes())
    if (name != "time") attributes.set(name, value);
  return {build("unfold1d", {g.adjoint(0)}, attributes)};
}

Attributes over(int64_t time, const Window& window) {
  Attributes attributes = attributes_of(window);
  attributes.set("kernel", window.kernel);
  attributes.set("time", Shape{time});
  return attributes;
}

}  // namespace

// The adjoint of unfold1d.
OpDef records::fold1d() {
  OpDef def{.name = "fold1d",
            .doc = "Adds the taps of sliding windows to the time steps that they saw.",
            .inputs = {{"windows", "[batch, steps, kernel·channels]"}},
            .outputs = {{"x", "[batch, time, channels]"}}};
  def.attributes = window_attributes();
  def.attributes.push_back({"kernel", AttributeKind::integer, "the number of taps", std::nullopt, 1, 1e9});
  def.attributes.push_back(
      {"time", AttributeKind::shape, "the number of time steps, as a shape of one dimension"});
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.vjp = vjp;
  def.cost = streaming_cost<1>;
  def.samples = {{"two taps", {{{1, 3, 2}, {1, 2, 3, 4, 5, 6}}}, over(4, {2}), {1, 5, 9, 6}},
                 {"padded", {{{1, 2, 3}, {1, 2, 3, 4, 5, 6}}}, over(2, {3, 1, 1, 1, 1}), {6, 8}},
                 {"stride and dilation", {{{1, 2, 2}, {1, 2, 3, 4}}}, over(4, {2, 2, 2, 0, 2}), {1, 0, 5, 0}},
                 {"batch", {{{2, 3, 9}}}, over(5, {3, 2, 1, 2, 1})},
                 {"no rows", {{{0, 3, 4}}}, over(4, {2})}};
  def.rejects = {
      {{{f32, {1, 3, 3}}},
       over(4, {2}),
       "windows is [1, 3, 3]; its last dimension must be a multiple of the kernel 2"},
      {{{f32, {1, 3, 2}}}, over(5, {2}), "windows is [1, 3, 2]; over 5 time steps there must be 4 of them"}};
  return def;
}

Value fold1d(Operand windows, Dim time, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad_before,
             int64_t pad_after) {
  Attributes attributes = attributes_of({kernel, stride, dilation, pad_before, pad_after});
  attributes.set("kernel", kernel);
  attributes.set("time", Shape{time});
  return build("fold1d", {windows}, attributes);
}

}  // namespace lariat
