#include "frontends/sequential/network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// What a loss that takes logits makes probabilities of would be squashed twice.
void check_activation(const Signal& output, const LayerSpec& last, const Loss& loss) {
  const std::string& op = node_of(output.value).op->name;
  if (loss.takes_logits && (op == "softmax" || op == "sigmoid" || op == "log_softmax" || op == "log_sigmoid"))
    throw UserError(fmt::format(
        "the model ends in '{}' with the activation {}, but {} takes what is before it: leave the "
        "activation out; predictions are probabilities all the same",
        last.kind, op, loss.name));
}

void check_outputs(const Signal& output, const LayerSpec& last, const DataShape& shape,
                   const LearningTask& task) {
  const Shape& found = output.value.shape();
  const bool by_frame = shape.targets.by_frame;
  if (output.is_sequence() && !by_frame)
    throw UserError(
        fmt::format("the model ends in '{}' with {}, a value for every frame; end it with last_step, "
                    "global_average_pool or global_max_pool before the last dense layer",
                    last.kind, text(found)));
  if (by_frame && (!output.is_sequence() || found.size() != 3 || !(found[1] == dim::time)))
    throw UserError(fmt::format(
        "the model ends in '{}' with {}, but targets are by frame: it must give outputs for each "
        "frame; leave out layers that take frames together, and give lstm return_sequences = true",
        last.kind, text(found)));
  const int64_t width = task.outputs(shape);
  if (found.size() != (by_frame ? 3 : 2) || !(found.back() == Dim(width)))
    throw UserError(
        fmt::format("the model ends in '{}' with {}, but {}; end it with a dense layer of {} unit{}",
                    last.kind, text(found), task.reason(shape), width, width == 1 ? "" : "s"));
}

// The mean over an example's frames, where there are any.
Value of_example(Value values, const Signal& signal) {
  if (values.rank() < 2) return values;
  const Shape& shape = values.shape();
  return reshape(masked_mean_time(reshape(values, {shape[0], shape[1], 1}), signal.lengths), {shape[0]});
}

// The layer that a state "layer/name" is of.
std::string layer_of(std::string_view name) { return std::string(name.substr(0, name.find('/'))); }

// Updates of training alone are by_phase().
void find_carried(Network& network) {
  const Graph& graph = *network.graph;
  for (const Output& output : graph.outputs()) {
    if (!output.is_update || graph.node(output.value.node).op->traits.inference_input >= 0) continue;
    const int64_t rows = graph.node(graph.source_id(output.name)).outputs[0].shape[0].size();
    if (!network.carried.empty() && rows != network.rows)
      throw UserError(
          fmt::format("layer {} is stateful over batches of {} rows, and layer {} over {}; give them one "
                      "number",
                      layer_of(network.carried[0]), network.rows, layer_of(output.name), rows));
    network.carried.push_back(output.name);
    network.rows = rows;
  }
}

}  // namespace

Network build_network(const std::vector<LayerSpec>& layers, const DataShape& shape, const Loss& loss,
                      const std::vector<Metric>& metrics, bool weighted) {
  if (layers.empty()) throw UserError("the model has no layers; it needs at least a dense layer");
  Network network;
  network.task = &task_of(loss, shape);
  const LearningTask& task = *network.task;
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
    LayerContext context(graph, fmt::format("{}_{}", layer.kind, ++counts[layer.kind]), task.outputs(shape),
                         network.penalties);
    signal = layer_kind_of(layer).build(context, signal, layer);
  }
  find_carried(network);
  check_outputs(signal, layers.back(), shape, task);
  check_activation(signal, layers.back(), loss);

  network.outputs = signal.value;
  network.predictions = loss.plain_outputs ? signal.value : task.link(signal.value);
  const Value targets = task.targets(graph, shape);
  if (!loss.per_example) return network;
  network.example_loss = of_example(loss.per_example(network.outputs, targets), signal);
  const bool indices = task.exclusive && targets.dtype() != i32;
  const Value compared = indices ? argmax(targets) : targets;
  for (const Metric& metric : metrics)
    if (metric.per_example)
      network.example_metrics.emplace_back(metric.name,
                                           of_example(metric.per_example(network.outputs, compared), signal));
  network.data_loss =
      mean(weighted ? network.example_loss * graph.input("weights", {dim::batch}) : network.example_loss);
  network.loss = network.data_loss;
  for (const Value penalty : network.penalties.values) network.loss = network.loss + penalty;
  return network;
}

std::vector<std::string> Network::penalised() const {
  std::vector<std::string> names;
  for (const auto& [name, penalty] : penalties.by_parameter)
    if (penalty.makes_zeros() && !penalties.shared.contains(name)) names.push_back(name);
  for (const auto& [name, text] : penalties.shared) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> Network::with_zeros() const {
  std::vector<std::string> names = penalised();
  for (int32_t id = 0; id < graph->size(); ++id) {
    const Node& node = graph->node(id);
    if (node.op->traits.source == SourceKind::parameter && node.outputs[0].shape.size() > 1)
      names.push_back(node.name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

void check_rows(const Network& network, const data::Dataset& dataset, std::optional<int> batch_size) {
  const int64_t rows = network.rows, count = static_cast<int64_t>(dataset.examples.size());
  if (rows == 0) return;
  const std::string stateful =
      fmt::format("layer {} is stateful over batches of {} rows, but", layer_of(network.carried[0]), rows);
  if (batch_size && *batch_size != rows)
    throw UserError(fmt::format("{} batch_size = {}; give both one number", stateful, *batch_size));
  if (count % rows != 0)
    throw UserError(fmt::format("{} of {} examples the last batch has {}; give a multiple of {}", stateful,
                                count, count % rows, rows));
}

std::string l1_factors_of(const std::string& parameter) { return "l1_factors/" + parameter; }

namespace {

Value reweighted_penalty(Graph& graph, const std::string& name, const WeightPenalty& penalty) {
  const Value w = graph.find_source(name);
  if (penalty.l1 == 0) return penalty_of(w, penalty);
  Value factors = graph.find_source(l1_factors_of(name));
  if (!factors)
    factors = graph.state(l1_factors_of(name), evaluate(w.shape(), {}), init::constant(1), w.dtype());
  const Value l1 = penalty.l1 * sum(factors * abs(w));
  WeightPenalty rest = penalty;
  rest.l1 = 0;
  return rest ? l1 + penalty_of(w, rest) : l1;
}

}  // namespace

Value scheduled_loss(Network& network, bool reweighted) {
  if (network.loss_by_strength && network.reweighted == reweighted) return network.loss_by_strength;
  if (!network.strength) network.strength = network.graph->input("penalty_strength", {});
  Value loss = network.data_loss;
  if (reweighted) {
    for (const auto& [name, penalty] : network.penalties.by_parameter)
      loss = loss + network.strength * reweighted_penalty(*network.graph, name, penalty);
    for (const Value penalty : network.penalties.shared_values) loss = loss + network.strength * penalty;
  } else {
    for (const Value penalty : network.penalties.values) loss = loss + network.strength * penalty;
  }
  network.loss_by_strength = loss;
  network.reweighted = reweighted;
  return loss;
}

bool is_finite(const Tensor& tensor) {
  return with_type(tensor.dtype(), [&](auto zero) {
    const auto values = tensor.values<decltype(zero)>();
    return std::all_of(values.begin(), values.end(), [](auto value) { return std::isfinite(double(value)); });
  });
}

Feeds feeds_of(const data::Batch& batch, const Graph& graph) {
  Feeds feeds;
  for (const auto& [name, tensor] :
       {std::pair("features", &batch.features), std::pair("lengths", &batch.lengths),
        std::pair("labels", &batch.labels), std::pair("targets", &batch.targets),
        std::pair("weights", &batch.weights)})
    if (graph.source_id(name) >= 0) feeds.emplace(name, *tensor);
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

Inference::Inference(const Graph& graph, std::span<const Value> values, const Store* frozen, int64_t rows)
    : graph_(graph), rows_(rows), program_(inference_program(graph, values, frozen, rows > 0)) {}

void Inference::each(const data::Dataset& dataset, Store& store, Executor& executor, int batch_size,
                     int time_multiple,
                     const std::function<void(const data::Batch&, const std::vector<Tensor>&)>& take) {
  const data::Batches batches = rows_ == 0 ? unordered_batches(dataset, batch_size, time_multiple)
                                           : data::Batches(dataset, {.batch_size = static_cast<int>(rows_),
                                                                     .shuffle = false,
                                                                     .bucket = false,
                                                                     .time_multiple = time_multiple});
  for (size_t b = 0; b < batches.size(); ++b) {
    const data::Batch batch = batches[b];
    take(batch, program_->run(feeds_of(batch, graph_), store, executor));
  }
}

}  // namespace lariat
