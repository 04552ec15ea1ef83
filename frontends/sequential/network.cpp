#include "frontends/sequential/network.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "frontends/sequential/wiring.hpp"
#include "frontends/spec/activation.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/op_def.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// The function that a layer ends in, or its op.
std::string activation_of(const LayerSpec& layer, const std::string& op) {
  for (const auto& [option, value] : layer.options)
    if (option == "activation" || (layer.kind == "activation" && option == "function"))
      return value == "linear" ? op : value;
  return op;
}

// What a loss that takes logits makes probabilities of would be squashed twice, or could not be reached.
void check_activation(const Signal& output, const LayerSpec& last, const Loss& loss,
                      const LearningTask& task) {
  const std::string& op = node_of(output.value).op->name;
  if (loss.takes_logits && (op == "softmax" || op == "sigmoid" || op == "log_softmax" || op == "log_sigmoid"))
    throw UserError(fmt::format(
        "the model ends in '{}' with the activation {}, but {} takes what is before it: leave the "
        "activation out; predictions are probabilities all the same",
        last.kind, op, loss.name));
  // Of a layer's last function.
  const std::string name = activation_of(last, op);
  const ValueRange range = range_of_activation(name);
  const bool margins = loss.plain_outputs && task.name != "numbers";
  if ((loss.takes_logits && std::isfinite(range.lowest)) ||
      (margins && (range.lowest > -1 || range.highest < 1)))
    throw UserError(fmt::format(
        "the model ends in '{}' with the activation {}, which leaves values {}, but {} takes any: "
        "leave the activation out",
        last.kind, name, range.text(), loss.name));
}

void check_outputs(const Signal& output, const LayerSpec& last, const DataShape& shape,
                   const LearningTask& task) {
  const Shape& found = output.value.shape();
  const bool by_frame = shape.targets.by_frame;
  // As many frames as layers leave, be it another number than the data have.
  if (task.decode != nullptr && (!output.is_sequence() || found.size() != 3))
    throw UserError(fmt::format(
        "the model ends in '{}' with {}, but symbols are found in the outputs of all frames; leave out "
        "layers that take frames together, and give lstm return_sequences = true",
        last.kind, text(found)));
  if (output.is_sequence() && !by_frame && task.decode == nullptr)
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
  if (found.size() != (by_frame || task.decode != nullptr ? 3 : 2) || !(found.back() == Dim(width)))
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
std::string layer_of(std::string_view name) { return std::string(name.substr(0, name.rfind('/'))); }

void find_carried(Network& network) {
  for (const auto& [name, rows] : carried_states(*network.graph)) {
    if (!network.carried.empty() && rows != network.rows)
      throw UserError(
          fmt::format("layer {} is stateful over batches of {} rows, and layer {} over {}; give them one "
                      "number",
                      layer_of(network.carried[0]), network.rows, layer_of(name), rows));
    network.carried.push_back(name);
    network.rows = rows;
  }
}

// What of the data an output is to learn.
DataShape shape_for(const ModelOutput& output, const std::string& name, size_t place, size_t outputs,
                    const DataShape& all) {
  const data::Targets& targets = all.targets;
  const std::vector<std::string> known = task_parts::target_names(all);
  std::vector<std::string> wanted = output.targets;
  if (wanted.empty() && outputs > 1 && targets.width > 0) {
    if (std::find(known.begin(), known.end(), name) != known.end()) {
      wanted = {name};
    } else if (known.size() == outputs) {
      wanted = {known[place]};
    } else {
      throw UserError(fmt::format("the output '{}' must say which targets it learns; the data have {}", name,
                                  fmt::join(known, ", ")));
    }
  }
  const bool is_label = known.empty() && wanted.size() == 1 && outputs == 1;  // which has no name
  if (wanted.empty() || is_label || (wanted == known && targets.classes.empty())) return all;
  DataShape shape = all;
  shape.classes.clear();
  shape.targets = {static_cast<int64_t>(wanted.size()), targets.by_frame, wanted};
  shape.target_scales.clear();
  for (const std::string& target : wanted) {
    const auto found = std::find(known.begin(), known.end(), target);
    if (found == known.end())
      throw UserError(fmt::format("the output '{}' is to learn '{}', but the data have no such target.{}",
                                  name, data::shortened(target), did_you_mean(target, known)));
    const auto column = static_cast<size_t>(found - known.begin());
    shape.targets.columns.push_back(static_cast<int64_t>(column));
    if (!all.target_scales.empty()) shape.target_scales.push_back(all.target_scales[column]);
    if (wanted.size() == 1 && column < targets.classes.size()) shape.classes = targets.classes[column];
  }
  return shape;
}

// What a loss or a metric gives of outputs: a value for each example, or each frame of one.
Value by_example(Value values, Value outputs, const std::string& what) {
  if (!values) throw UserError(fmt::format("{} gives an empty Value; give a value for each example", what));
  if (values.rank() + 1 != outputs.rank())
    throw UserError(fmt::format(
        "{} gives {} of outputs {}, but must give one value for each example{}; take the mean "
        "over the last axis",
        what, text(values.shape()), text(outputs.shape()), outputs.rank() > 2 ? " and frame" : ""));
  return values;
}

Value of_sequence(Value values, const std::string& what) {
  if (!values || values.rank() != 1)
    throw UserError(fmt::format("{} gives {}, but must give one value for each example", what,
                                values ? text(values.shape()) : "an empty Value"));
  return values;
}

// How much each example counts in the mean of a metric, as it does in an evaluation: `weights` may be empty.
Value metric_weight(const Head& head, const Metric& metric, const Signal& signal, Value weights) {
  if (!head.shape.targets.by_frame || !metric.over_data) return weights;
  const Value frames = cast(signal.lengths, f32);
  return weights ? weights * frames : frames;
}

void build_loss(Head& head, Graph& graph, const Signal& signal, Value weights) {
  const LearningTask& task = *head.task;
  const Value targets = task.targets(graph, head.shape);
  // What the loss compares; all else sees the units of the data.
  Value learned = targets;
  head.outputs = signal.value;
  if (head.is_standardised()) {
    check_standardised(head.loss);
    learned = task_parts::standardised(targets, head.shape);
    head.outputs = task_parts::in_units_of_data(signal.value, head.shape);
  }
  head.predictions = head.loss.plain_outputs ? head.outputs : task.link(head.outputs);
  const bool sequences = task.decode != nullptr;
  if (sequences) head.lengths = signal.lengths;
  if (!head.loss.per_example && !head.loss.per_sequence) return;
  if (sequences != bool(head.loss.per_sequence))
    throw UserError(fmt::format("the loss '{}' is of the task {}, whose losses are given as {}; give that",
                                head.loss.name, task.name, sequences ? "per_sequence" : "per_example"));
  const std::string what = fmt::format("the loss '{}'", head.loss.name);
  head.example_loss =
      sequences
          ? of_sequence(head.loss.per_sequence(signal.value, targets, signal.lengths), what)
          : of_example(by_example(head.loss.per_example(signal.value, learned), signal.value, what), signal);
  const bool indices = task.exclusive && targets.dtype() != i32;
  const Value compared = indices ? argmax(targets) : targets;
  for (const Metric& metric : head.metrics)
    if (metric.per_example)
      head.example_metrics.push_back(
          {metric.name,
           of_example(by_example(metric.per_example(head.outputs, compared), head.outputs,
                                 fmt::format("the metric '{}'", metric.name)),
                      signal),
           metric_weight(head, metric, signal, weights)});
}

}  // namespace

std::map<std::string, Signal> column_signals(Graph& graph, const DataShape& shape) {
  Signal all;
  if (shape.sequences) {
    all.value = graph.input("features", {dim::batch, dim::time, shape.dimensions});
    all.lengths = graph.input("lengths", {dim::batch}, i32);
    // Whatever frames behind the end hold, NaN and infinities too, no layer sees it.
    all.value = masked(all);
  } else {
    all.value = graph.input("features", {dim::batch, shape.dimensions});
  }
  ChannelNames names;
  for (const data::Column& column : shape.columns)
    names.names.insert(names.names.end(), static_cast<size_t>(column.width), column.name);
  if (shape.columns.empty())
    for (int64_t channel = 0; channel < shape.dimensions; ++channel)
      names.names.push_back(fmt::format("{}", channel));
  names.known = {names.names.begin(), names.names.end()};
  all.columns = std::make_shared<ChannelNames>(std::move(names));
  std::map<std::string, Signal> signals{{all_columns, all}};
  const auto last = static_cast<int64_t>(all.value.rank()) - 1;
  int64_t begin = 0;
  for (const data::Column& column : shape.columns) {
    const std::vector<std::string> own(static_cast<size_t>(column.width), column.name);
    signals[column.name] = {slice(all.value, last, begin, begin + column.width), all.lengths,
                            std::make_shared<ChannelNames>(ChannelNames{own, {column.name}})};
    begin += column.width;
  }
  return signals;
}

data::Example Head::targets_of(const data::Example& example) const {
  data::Example result{example.source,  example.label, example.frames, example.dimensions, {},
                       example.targets, example.weight};
  if (shape.targets.columns.empty()) return result;
  result.targets.clear();
  const auto width = static_cast<size_t>(shape.targets.by_frame ? example.frames : 1);
  for (size_t row = 0; row < width; ++row)
    for (const int64_t column : shape.targets.columns)
      result.targets.push_back(
          example.targets[row * (example.targets.size() / width) + static_cast<size_t>(column)]);
  return result;
}

Network build_network(const std::vector<LayerSpec>& layers, const DataShape& shape, const Loss& loss,
                      const std::vector<Metric>& metrics, bool weighted) {
  return build_network(layers, shape, std::vector<ModelOutput>{{"", loss, metrics}}, weighted);
}

Network build_network(const std::vector<LayerSpec>& layers, const DataShape& shape,
                      const std::vector<ModelOutput>& outputs, bool weighted, size_t* built) {
  std::vector<std::string> columns, names;
  for (const data::Column& column : shape.columns) columns.push_back(column.name);
  for (const ModelOutput& output : outputs)
    if (!output.layer.empty()) names.push_back(output.layer);
  const Wiring wiring = wiring_of(layers, names, &columns);
  require(wiring.outputs.size() == outputs.size(), "each of several outputs names its layer");

  Network network;
  network.graph = std::make_unique<Graph>();
  Graph& graph = *network.graph;
  std::map<size_t, int64_t> widths;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const ModelOutput& output = outputs[i];
    const std::string name = wiring.name_of(wiring.outputs[i]);
    Head head;
    head.name = outputs.size() > 1 ? name : "";
    head.layer = name;
    head.loss = output.loss;
    head.weight = output.weight;
    head.shape = shape_for(output, name, i, outputs.size(), shape);
    const auto make = [&] {
      head.task = &task_of(head.loss, head.shape);
      if (head.task->decode != nullptr && outputs.size() > 1)
        throw UserError(fmt::format(
            "{} learns the one sequence of symbols that an example has, but the model has {} outputs; "
            "give it that one alone",
            head.loss.name, outputs.size()));
      head.metrics = metrics_for(*head.task, output.metrics, head.task->outputs(head.shape));
    };
    const std::string of = head.name.empty() ? "" : fmt::format("output {}: ", name);
    at_place(output.written.text + of, make);
    // What a layer's states are says nothing of its own outputs.
    if (wiring.outputs[i].state.empty()) widths[wiring.output_layer(i)] = head.task->outputs(head.shape);
    network.heads.push_back(std::move(head));
  }
  const std::map<std::string, Signal> fed = column_signals(graph, shape);
  if (!network.heads.front().shape.targets.columns.empty()) {
    DataShape all = shape;
    all.targets.columns.clear();
    task_parts::targets_input(graph, all);
  }
  // A layer that is no output does not know whose outputs it should have, unless there is but one.
  const auto width_of = [&](size_t layer) {
    const auto found = widths.find(layer);
    return found != widths.end()                    ? found->second
           : outputs.size() == 1 && !widths.empty() ? widths.begin()->second
                                                    : 0;
  };
  network.layers = build_layers(graph, layers, wiring, fed, width_of, network.penalties, built);
  find_carried(network);

  const Value weights = weighted ? graph.input("weights", {dim::batch}) : Value();
  const std::vector<Signal>& signals = network.layers;
  for (size_t i = 0; i < network.heads.size(); ++i) {
    Head& head = network.heads[i];
    const size_t layer = wiring.output_layer(i);
    const Signal signal = taken_of(signals[layer], wiring.outputs[i], layers[layer]);
    const std::string of = head.name.empty() ? "" : fmt::format("output {}: ", head.name);
    const LayerSpec& last = layers[layer];
    at_place(last.written.text + of, [&] {
      check_outputs(signal, last, head.shape, *head.task);
      check_activation(signal, last, head.loss, *head.task);
    });
    head.activation = activation_of(last, node_of(signal.value).op->name);
    head.last_layer = last.kind;
    at_place(outputs[i].written.text + of, [&] { build_loss(head, graph, signal, weights); });
    if (built != nullptr) ++*built;
    for (const auto& [name, value, weight] : head.example_metrics)
      network.example_metrics.push_back({head.name.empty() ? name : head.name + "/" + name, value, weight});
  }
  network.task = network.heads.front().task;
  network.outputs = network.heads.front().outputs;
  network.predictions = network.heads.front().predictions;
  for (const Head& head : network.heads) {
    if (!head.example_loss) {
      network.example_loss = {};
      return network;
    }
    const Value part = head.weight == 1 ? head.example_loss : head.weight * head.example_loss;
    network.example_loss = network.example_loss ? network.example_loss + part : part;
  }
  network.data_loss = mean(weights ? network.example_loss * weights : network.example_loss);
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

Value reweighted_penalty(Graph& graph, const std::string& name, const WeightPenalty& penalty,
                         const RowGroups& rows) {
  const Value w = graph.find_source(name);
  if (penalty.l1 == 0) return penalty_of(w, penalty, rows);
  Value factors = graph.find_source(l1_factors_of(name));
  if (!factors)
    factors = graph.state(l1_factors_of(name), evaluate(w.shape(), {}), init::constant(1), w.dtype());
  const Value l1 = penalty.l1 * sum(factors * abs(w));
  WeightPenalty rest = penalty;
  rest.l1 = 0;
  return rest ? l1 + penalty_of(w, rest, rows) : l1;
}

}  // namespace

Value scheduled_loss(Network& network, bool reweighted) {
  if (network.loss_by_strength && network.reweighted == reweighted) return network.loss_by_strength;
  if (!network.strength) network.strength = network.graph->input("penalty_strength", {});
  Value loss = network.data_loss;
  if (reweighted) {
    for (const auto& [name, penalty] : network.penalties.by_parameter)
      loss = loss + network.strength *
                        reweighted_penalty(*network.graph, name, penalty, network.penalties.input_rows[name]);
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
  if (batch_size < 1) throw UserError(fmt::format("batch_size = {}: must be an integer from 1", batch_size));
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
