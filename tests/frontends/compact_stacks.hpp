#pragma once

// Stacks of layers for the tests of what compact() takes out of them.

#include <algorithm>
#include <cmath>
#include <functional>

#include "frontends/compact/compact.hpp"
#include "graph/base/random.hpp"
#include "graph/program/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::compact_stacks {

// Layers with weights of about 0.5, biases too.
inline Stack stack_with(Stack stack, uint64_t seed = 1) {
  const StackGraph graph = graph_of(stack);
  initialize_store(*graph.graph, stack.weights, seed);
  uint64_t at = 0;
  for (const auto& [name, tensor] : stack.weights)
    if (tensor.dtype() == f32)
      for (float& value : tensor.values<float>()) value = to_unit(random_bits(seed, 9, at++)[0]) - 0.45f;
  return stack;
}

inline Stack plain(std::vector<LayerSpec> layers, int64_t dimensions, int64_t outputs, uint64_t seed = 1) {
  return stack_with({std::move(layers), {}, {.sequences = false, .dimensions = dimensions}, outputs}, seed);
}
inline Stack clips(std::vector<LayerSpec> layers, int64_t dimensions, int64_t outputs, uint64_t seed = 1) {
  return stack_with({std::move(layers), {}, {.sequences = true, .dimensions = dimensions}, outputs}, seed);
}

// Sets the elements of a weight for whose row (next to last axis) and column `which` is true.
inline void set(Stack& stack, const std::string& name, float value,
                const std::function<bool(int64_t, int64_t)>& which) {
  const Tensor tensor = stack.weights.get(name);
  const int64_t columns = tensor.extents().back(),
                rows = tensor.extents().size() < 2 ? 1 : tensor.extents()[tensor.extents().size() - 2];
  for (int64_t i = 0; i < tensor.count(); ++i)
    if (which(i / columns % rows, i % columns)) tensor.data<float>()[i] = value;
}
inline void zero_column(Stack& stack, const std::string& name, int64_t column) {
  set(stack, name, 0, [=](int64_t, int64_t c) { return c == column; });
}
inline void zero_row(Stack& stack, const std::string& name, int64_t row) {
  set(stack, name, 0, [=](int64_t r, int64_t) { return r == row; });
}

// What a stack makes of three random examples, of 9, 5 and 9 frames.
inline Tensor outputs_of(const Stack& stack) {
  const StackGraph graph = graph_of(stack);
  std::vector<Value> values;
  for (const Signal& output : graph.outputs) values.push_back(output.value);
  const int64_t frames = 9, dimensions = stack.shape.dimensions;
  Tensor features(f32, stack.shape.sequences ? Extents{3, frames, dimensions} : Extents{3, dimensions});
  uint64_t at = 0;
  for (float& value : features.values<float>()) value = to_unit(random_bits(5, 5, at++)[0]) * 2 - 1;
  Feeds feeds{{"features", features}};
  if (stack.shape.sequences) feeds.emplace("lengths", Tensor::of<int32_t>({3}, {9, 5, 9}));
  const auto executor = make_serial_executor();
  Store none;
  const std::vector<Tensor> found =
      inference_program(*graph.graph, values, &stack.weights)->run(feeds, none, *executor);
  std::vector<float> all;
  for (const Tensor& tensor : found) {
    const auto own = tensor.values<float>();
    all.insert(all.end(), own.begin(), own.end());
  }
  return found.size() == 1 ? found.front()
                           : Tensor::of<float>({std::ssize(all)}, std::span<const float>(all));
}

inline double difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.extents() == b.extents());
  double largest = 0;
  for (int64_t i = 0; i < a.count(); ++i) largest = std::max(largest, std::fabs(a.at(i) - b.at(i)));
  return largest;
}

// Compacts the stack and compares what it makes of data.
inline CompactReport checked(Stack& stack, double allowed = 0) {
  const Tensor before = outputs_of(stack);
  const CompactReport report = compact(stack);
  CHECK(difference(before, outputs_of(stack)) <= allowed);
  // What is left has nothing more to take out.
  Stack again = stack;
  const CompactReport second = compact(again);
  CHECK(second.unread + second.zero + second.folded == 0);
  return report;
}

constexpr double rounding = 1e-6;

}  // namespace lariat::compact_stacks
