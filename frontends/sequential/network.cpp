#include "frontends/sequential/network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

DataShape shape_of(const data::Dataset& dataset) {
  if (dataset.examples.empty()) throw UserError("the dataset has no examples; check its skipped files");
  return {dataset.sequences, dataset.examples.front().dimensions, dataset.classes};
}

namespace {

void check_logits(const Signal& output, const LayerSpec& last, int64_t classes) {
  const Shape& shape = output.value.shape();
  if (output.is_sequence())
    throw UserError(
        fmt::format("the model ends in '{}' with {}, a value for every frame; end it with last_step, "
                    "global_average_pool or global_max_pool before the last dense layer",
                    last.kind, text(shape)));
  if (shape.size() != 2 || !(shape[1] == Dim(classes)))
    throw UserError(fmt::format(
        "the model ends in '{}' with {}, but the data have {} classes; end it with a dense layer of "
        "{} units",
        last.kind, text(shape), classes, classes));
}

}  // namespace

Network build_network(const std::vector<LayerSpec>& layers, const DataShape& shape, const Loss& loss,
                      const std::vector<Metric>& metrics) {
  if (layers.empty()) throw UserError("the model has no layers; it needs at least a dense layer");
  const auto classes = static_cast<int64_t>(shape.classes.size());
  Network network;
  network.graph = std::make_unique<Graph>();
  Graph& graph = *network.graph;
  Signal signal;
  if (shape.sequences) {
    signal.value = graph.input("features", {dim::batch, dim::time, shape.dimensions});
    signal.lengths = graph.input("lengths", {dim::batch}, i32);
    // Whatever frames behind the end hold, NaN and infinities too, no layer sees it.
    signal.value = masked(signal);
  } else {
    signal.value = graph.input("features", {dim::batch, shape.dimensions});
  }
  std::map<std::string, int> counts;
  for (const LayerSpec& layer : layers) {
    LayerContext context(graph, fmt::format("{}_{}", layer.kind, ++counts[layer.kind]), classes,
                         network.penalties);
    signal = layer_kind_of(layer).build(context, signal, layer);
  }
  check_logits(signal, layers.back(), classes);

  const Value labels = graph.input("labels", {dim::batch}, i32);
  network.logits = signal.value;
  network.probabilities = softmax(signal.value);
  network.example_loss = loss.per_example(network.logits, labels);
  for (const Metric& metric : metrics)
    network.example_metrics.push_back(metric.per_example(network.logits, labels));
  network.loss = mean(network.example_loss);
  for (const Value penalty : network.penalties.values) network.loss = network.loss + penalty;
  return network;
}

std::vector<std::string> Network::penalised() const {
  std::vector<std::string> names;
  for (const auto& [name, penalty] : penalties.by_parameter)
    if (penalty.makes_zeros()) names.push_back(name);
  return names;
}

Value scheduled_loss(Network& network) {
  if (network.loss_by_strength) return network.loss_by_strength;
  network.strength = network.graph->input("penalty_strength", {});
  Value loss = mean(network.example_loss);
  for (const Value penalty : network.penalties.values) loss = loss + network.strength * penalty;
  network.loss_by_strength = loss;
  return loss;
}

bool is_finite(const Tensor& tensor) {
  return with_type(tensor.dtype(), [&](auto zero) {
    const auto values = tensor.values<decltype(zero)>();
    return std::all_of(values.begin(), values.end(), [](auto value) { return std::isfinite(double(value)); });
  });
}

Feeds feeds_of(const data::Batch& batch, bool sequences) {
  Feeds feeds{{"features", batch.features}, {"labels", batch.labels}};
  if (sequences) feeds.emplace("lengths", batch.lengths);
  return feeds;
}

data::Batches unordered_batches(const data::Dataset& dataset, int batch_size, int time_multiple) {
  data::BatchOptions options;
  options.batch_size = batch_size;
  options.time_multiple = time_multiple;
  options.shuffle = false;
  // One window over everything.
  options.bucket_batches = static_cast<int>(dataset.examples.size()) / batch_size + 1;
  return data::Batches(dataset, options);
}

Inference::Inference(const Graph& graph, std::span<const Value> values, const Store* frozen)
    : program_(inference_program(graph, values, frozen)) {}

std::vector<Tensor> Inference::run(const data::Dataset& dataset, Store& store, Executor& executor,
                                   int batch_size, int time_multiple) {
  const auto count = static_cast<int64_t>(dataset.examples.size());
  const data::Batches batches = unordered_batches(dataset, batch_size, time_multiple);
  std::vector<Tensor> results;
  for (size_t b = 0; b < batches.size(); ++b) {
    const data::Batch batch = batches[b];
    const std::vector<Tensor> values = program_->run(feeds_of(batch, dataset.sequences), store, executor);
    for (size_t v = 0; v < values.size(); ++v) {
      Extents extents = values[v].extents();
      const size_t row = values[v].bytes() / batch.indices.size();
      extents.front() = count;
      if (v == results.size()) results.emplace_back(values[v].dtype(), extents);
      auto* to = static_cast<std::byte*>(results[v].view().data);
      const auto* from = static_cast<const std::byte*>(values[v].view().data);
      for (size_t i = 0; i < batch.indices.size(); ++i)
        std::memcpy(to + static_cast<size_t>(batch.indices[i]) * row, from + i * row, row);
    }
  }
  return results;
}

}  // namespace lariat
