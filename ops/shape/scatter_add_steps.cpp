#include <fmt/format.h>

#include "ops/kernels/axes.hpp"
#include "ops/kernels/reduction.hpp"
#include "ops/kernels/window.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace scatter_add_steps_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_sequence(c, "values");
  check_integers(c, 1, "indices", c.shape(0));
  const Shape &values = c.shape(0), &time = c.attribute<Shape>("time");
  if (time.size() != 1) c.fail(fmt::format("'time' is {}; it must be a shape of one dimension", text(time)));
  return {{c.in(0).dtype, {values[0], time[0], values[2]}}};
}

constexpr int64_t most_tasks = 64;

int64_t rows_of_a_task(const Extents& result) {
  return std::max(rows_per_task(result[1] * result[2]), (result[0] + most_tasks - 1) / most_tasks);
}

// A table for each task.
Workspace workspace(const KernelContext& k) {
  const Extents& result = k.outputs[0].extents;
  const int64_t each = rows_of_a_task(result);
  return {static_cast<size_t>((result[0] + each - 1) / each * result[1] * result[2]) * sizeof(double), 0};
}

template <class T>
void forward(const KernelContext& k) {
  using Accumulator = Summing::Accumulator<T>;
  const int64_t steps = k.inputs[0].extents[1], time = k.outputs[0].extents[1],
                channels = k.outputs[0].extents[2], each = rows_of_a_task(k.outputs[0].extents);
  check_indices(k.inputs[1], time, "index", "steps");
  k.parallel.run(k.outputs[0].extents[0], each, [&](int64_t begin, int64_t end) {
    Accumulator* table = reinterpret_cast<Accumulator*>(k.scratch.shared) + begin / each * time * channels;
    for (int64_t batch = begin; batch < end; ++batch) {
      std::fill_n(table, time * channels, Accumulator(0));
      for (int64_t row = batch * steps; row < (batch + 1) * steps; ++row) {
        const T* values = k.in<T>(0) + row * channels;
        const int32_t* index = k.in<int32_t>(1) + row * channels;
        for (int64_t j = 0; j < channels; ++j) table[index[j] * channels + j] += values[j];
      }
      std::transform(table, table + time * channels, k.out<T>(0) + batch * time * channels,
                     [](Accumulator total) { return static_cast<T>(total); });
    }
  });
}

}  // namespace scatter_add_steps_detail

// The adjoint of gather_steps.
OpDef records::scatter_add_steps() {
  using namespace scatter_add_steps_detail;
  OpDef def{
      .name = "scatter_add_steps",
      .doc = "Adds each value to the time step that its index names, for each row and channel of its own.",
      .inputs = {{"values", "[batch, steps, channels]"}, {"indices", "i32, like values, each in [0, time)"}},
      .outputs = {{"result", "[batch, time, channels]"}}};
  def.attributes = {{"time", AttributeKind::shape, "the number of time steps, as a shape of one dimension"}};
  def.traits.linear = {true, false};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.workspace = workspace;
  def.vjp = [](const GradContext& g) -> Adjoints { return {gather_steps(g.adjoint(0), g.in(1)), Value()}; };
  def.cost = streaming_cost<1>;
  const auto indices = [](Extents extents, std::vector<double> values) {
    return SampleInput{.extents = std::move(extents), .values = std::move(values), .dtype = i32};
  };
  const auto over = [](int64_t time) -> Attributes { return {{"time", Shape{time}}}; };
  def.samples = {{"two channels",
                  {{{1, 2, 2}, {1, 2, 3, 4}}, indices({1, 2, 2}, {2, 0, 1, 0})},
                  over(3),
                  {0, 6, 3, 0, 1, 0}},
                 {"repeated", {{{2, 3, 1}}, indices({2, 3, 1}, {1, 1, 0, 0, 0, 0})}, over(2)},
                 {"no steps", {{{1, 0, 2}}, indices({1, 0, 2}, {})}, over(2), {0, 0, 0, 0}}};
  def.rejects = {
      {{{f32, {2, 3, 4}}, {i32, {2, 1, 4}}}, over(5), "indices is i32[2, 1, 4]; it must be i32[2, 3, 4]"}};
  return def;
}

Value scatter_add_steps(Operand values, Operand indices, Dim time) {
  return build("scatter_add_steps", {values, indices}, {{"time", Shape{time}}});
}

}  // namespace lariat
