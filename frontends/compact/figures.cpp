#include "frontends/compact/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "autodiff/training/trainer.hpp"
#include "graph/io/tensor_coding.hpp"

namespace lariat {

namespace {

constexpr size_t fewest_runs = 7, most_runs = 400;

// Something that is run again and again.
struct Timed {
  std::unique_ptr<Program> program;
  Feeds feeds;
  /// Examples of a run.
  int64_t rows = 1;
  std::unique_ptr<BoundProgram> bound = nullptr;
  std::vector<double> runs = {};

  double run(Executor& executor) {
    if (!bound) bound = program->bind(feeds, {}, executor);
    const auto start = std::chrono::steady_clock::now();
    bound->run();
    runs.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
                   static_cast<double>(rows));
    return runs.back();
  }
  double median() {
    std::nth_element(runs.begin(), runs.begin() + static_cast<int64_t>(runs.size() / 2), runs.end());
    return runs[runs.size() / 2];
  }
};

// States that go on from batch to batch have batches of their rows.
int64_t rows_of(const Graph& graph) {
  const auto states = carried_states(graph);
  return states.empty() ? 1 : states.front().second;
}

// The example in each of so many rows.
Feeds feeds_of_example(const Stack& stack, const Tensor& features, int64_t rows) {
  Extents extents{rows};
  extents.insert(extents.end(), features.extents().begin(), features.extents().end());
  Tensor batch(f32, extents);
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(features.data<float>(), features.count(), batch.data<float>() + row * features.count());
  Feeds feeds{{"features", batch}};
  if (stack.shape.sequences)
    feeds.emplace("lengths", Tensor::filled(i32, {rows}, static_cast<double>(extents[1])));
  return feeds;
}

Shape one_of(const Extents& batch) {
  Shape shape = to_shape(batch);
  shape[0] = 1;
  return shape;
}

// What a layer takes, or gives: its places among the tensors of a run.
struct Place {
  size_t value = 0;
  std::optional<size_t> lengths = {};
};

// One layer by itself, from what goes into it.
Timed alone(const Stack& stack, size_t i, const StackGraph& whole, const std::vector<Place>& places,
            const std::vector<Tensor>& found) {
  Graph graph;
  std::vector<Signal> inputs;
  Timed timed{nullptr, {}, rows_of(*whole.graph)};
  for (const Place& place : places) {
    const Tensor& tensor = found[place.value];
    Shape shape = to_shape(tensor.extents());
    shape[0] = dim::batch;
    if (place.lengths) shape[1] = dim::time;
    const std::string input = fmt::format("input{}", inputs.size());
    Signal signal;
    signal.value = graph.input(input, shape);
    timed.feeds.emplace(input, tensor);
    if (place.lengths) {
      signal.lengths = graph.input(input + "/lengths", {dim::batch}, i32);
      timed.feeds.emplace(input + "/lengths", found[*place.lengths]);
    }
    inputs.push_back(signal);
  }
  Penalties penalties;
  const size_t owner = whole.wiring.owners[i];
  LayerContext context(graph, whole.wiring.names[i], stack.width_of(whole.wiring, i), penalties, untrained(),
                       whole.wiring.names[owner]);
  // What its states begin with comes behind what it takes.
  const auto taken = static_cast<int64_t>(inputs.size() - whole.initial[i].size());
  for (size_t state = 0; state < whole.initial[i].size(); ++state) {
    const auto& [name, signal] = whole.initial[i][state];
    inputs[static_cast<size_t>(taken) + state].columns = signal.columns;
    context.given_states.initial.emplace_back(name, inputs[static_cast<size_t>(taken) + state]);
  }
  inputs.erase(inputs.begin() + taken, inputs.end());
  const LayerKind& kind = layer_kind_of(stack.layers[owner]);
  const Value output = (inputs.size() > 1 ? kind.merge(context, inputs, stack.layers[owner])
                                          : kind.build(context, inputs.front(), stack.layers[owner]))
                           .value;
  timed.program = inference_program(graph, {&output, 1}, &stack.weights);
  return timed;
}

// The costs of one stack, but for its times, and what measures those: the whole, then its layers.
StackCost cost_of(const Stack& stack, const Tensor& features, Executor& executor, std::vector<Timed>& timed) {
  StackCost cost;
  const StackGraph whole = graph_of(stack);
  std::vector<Value> values;
  const auto place_of_signal = [&](const Signal& signal) {
    Place place{values.size()};
    values.push_back(signal.value);
    if (signal.is_sequence()) {
      place.lengths = values.size();
      values.push_back(signal.lengths);
    }
    return place;
  };
  std::vector<std::vector<Place>> inputs;
  std::vector<Place> outputs;
  for (size_t i = 0; i < stack.layers.size(); ++i) {
    std::vector<Place>& places = inputs.emplace_back();
    for (const Signal& signal : whole.inputs[i]) places.push_back(place_of_signal(signal));
    for (const auto& [name, signal] : whole.initial[i]) places.push_back(place_of_signal(signal));
    outputs.push_back(place_of_signal(whole.signals[i + 1]));
  }
  const int64_t rows = rows_of(*whole.graph);
  const Feeds feeds = feeds_of_example(stack, features, rows);
  Store none;
  const std::vector<Tensor> found =
      inference_program(*whole.graph, values, &stack.weights)->run(feeds, none, executor);
  std::vector<Value> given;
  for (const Signal& output : whole.outputs) given.push_back(output.value);
  timed.push_back({inference_program(*whole.graph, given, &stack.weights), feeds, rows});
  const std::vector<std::string>& names = whole.wiring.names;
  // What layers say of their units may change them, which here nothing does.
  Stack copy = stack;
  for (size_t i = 0; i < stack.layers.size(); ++i) {
    timed.push_back(alone(stack, i, whole, inputs[i], found));
    LayerCost layer{names[i], text(whole.signals[i + 1].value.shape())};
    for (const auto& [name, tensor] : stack.weights) {
      if (!name.starts_with(names[i] + "/")) continue;
      const Sparsity zeros = sparsity(tensor);
      layer.weights += zeros.count;
      layer.zeros += zeros.zeros;
      const std::optional<std::string> code = coded(tensor);
      layer.bytes += code ? code->size() : tensor.bytes();
    }
    const size_t owner = whole.wiring.owners[i];
    if (const LayerUnits& units = layer_kind_of(stack.layers[owner]).units; units.multiply_adds)
      layer.multiply_adds = units.multiply_adds({copy.layers[owner], names[owner],
                                                 one_of(found[inputs[i].front().value].extents()),
                                                 one_of(found[outputs[i].value].extents()), copy.weights});
    cost.layers.push_back(std::move(layer));
  }
  return cost;
}

}  // namespace

std::vector<StackCost> costs_of(const std::vector<const Stack*>& stacks, const Tensor& features,
                                Executor& executor, double seconds) {
  std::vector<StackCost> costs;
  std::vector<std::vector<Timed>> timed(stacks.size());
  for (size_t s = 0; s < stacks.size(); ++s)
    costs.push_back(cost_of(*stacks[s], features, executor, timed[s]));
  // The whole stacks take turns, then their first layers, and so on; a stack may have more of them.
  for (size_t part = 0, measured = 1; measured > 0; ++part) {
    std::vector<size_t> with_part;
    for (size_t s = 0; s < stacks.size(); ++s)
      if (part < timed[s].size()) with_part.push_back(s);
    measured = with_part.size();
    for (const size_t s : with_part) timed[s][part].run(executor);
    for (const size_t s : with_part) timed[s][part].runs.clear();
    double spent = 0;
    for (size_t run = 0; measured > 0 && run < most_runs && (run < fewest_runs || spent < seconds); ++run)
      for (const size_t s : with_part) spent += timed[s][part].run(executor);
    for (const size_t s : with_part)
      (part == 0 ? costs[s].seconds : costs[s].layers[part - 1].seconds) = timed[s][part].median();
  }
  return costs;
}

Tensor example_for(const Stack& stack, int64_t frames) {
  if (!stack.shape.sequences) return Tensor(f32, {stack.shape.dimensions});
  return Tensor(f32, {std::max(frames, frames_needed(stack.layers)), stack.shape.dimensions});
}

}  // namespace lariat
