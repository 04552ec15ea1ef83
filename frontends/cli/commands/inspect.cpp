#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/linear_commands.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/summary.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "frontends/sequential/model_file.hpp"
#include "frontends/sequential/wiring.hpp"
#include "graph/base/json.hpp"
#include "graph/io/store.hpp"

namespace lariat::cli {

namespace {

// Inputs that the table shows.
constexpr size_t most_inputs = 24;

/// One layer as it stands in the model.
struct LayerLine {
  std::string name, options, output;
  int64_t parameters = 0;
};

// What the layer says beside its kind, where that is no default.
std::string changed_options(const LayerSpec& layer) {
  const Spec defaults = layer_kind_of(layer).spec.defaults();
  std::string text;
  for (const auto& [name, value] : layer.options)
    if (defaults.at(name) != value) text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, value);
  return text;
}

// What is known of a model, whether or not the ops of its layers are.
struct View {
  std::vector<LayerSpec> layers;
  DataShape shape;
  const LearningTask* task = nullptr;
  std::vector<TensorZeros> tensors;
  uint64_t hash = 0;
  std::optional<speech::FeatureOptions> features;
  /// Which ops are not loaded.
  std::vector<std::string> missing;
  StoredTensors stored = {};
  std::map<std::string, Json> blocks = {};
  /// What layers give, where they can be built: the first ones, where ops are missing.
  std::vector<Shape> outputs = {};
  /// "10 classes", or of several outputs "digit 10 classes, slant 1 number".
  std::string learned = {};
};

// "10 classes", "1 number".
std::string what_is_learned(const LearningTask& task, const DataShape& shape) {
  const std::string reason = task.reason(shape), before = "the data have ";
  return reason.starts_with(before) ? reason.substr(before.size()) : reason;
}

View view_of(SavedModel model) {
  Sequential& layers = model.model();
  View view{layers.layers(),
            layers.shape(),
            layers.network().task,
            layers.zeros(),
            layers.parameter_hash(),
            {},
            {}};
  if (model.is_audio()) view.features = model.features();
  for (const Head& head : layers.network().heads)
    view.learned += (view.learned.empty() ? "" : ", ") + head.name + (head.name.empty() ? "" : " ") +
                    what_is_learned(*head.task, head.shape);
  for (const Signal& signal : layers.network().layers) view.outputs.push_back(signal.value.shape());
  return view;
}

// What the layers before the first that is an op give.
std::vector<Shape> outputs_before_ops(const ModelHeader& header, const LearningTask& task) {
  const auto is_op = [](const LayerSpec& layer) { return layer.kind == "op"; };
  const std::vector<LayerSpec> known(header.layers.begin(),
                                     std::find_if(header.layers.begin(), header.layers.end(), is_op));
  if (known.empty()) return {};
  Graph graph;
  Penalties penalties;
  std::vector<Shape> outputs;
  for (const Signal& signal : build_layers(
           graph, known, wiring_of(known, names_of(known)), column_signals(graph, header.shape),
           [&](size_t) { return task.outputs(header.shape); }, penalties))
    outputs.push_back(signal.value.shape());
  return outputs;
}

// Of a model whose layers cannot be built: tensors as they are stored, and penalties as the layers' options
// name them: that of "lstm_1/recurrent_kernel" is "recurrent_penalty".
View view_without_ops(const Store& store, const ModelHeader& header, std::vector<std::string> missing,
                      const std::string& file) {
  View view{header.layers,     header.shape, &task_of(header.outputs.front().loss, header.shape), {}, 0, {},
            std::move(missing)};
  std::map<std::string, const LayerSpec*> by_name;
  const Strings names = names_of(header.layers);
  for (size_t i = 0; i < names.size(); ++i) by_name[names[i]] = &header.layers[i];
  Store parameters;
  for (const auto& [name, tensor] : store) {
    const size_t slash = std::min(name.rfind('/'), name.size());
    const auto layer = by_name.find(name.substr(0, slash));
    if (layer == by_name.end()) continue;
    parameters.set(name, tensor);
    std::string what = name.substr(std::min(slash + 1, name.size()));
    if (const size_t kernel = what.find("_kernel"); kernel != std::string::npos) what.erase(kernel);
    WeightPenalty penalty;
    for (const auto& [option, text] : layer->second->options)
      if (option == what + "_penalty" || option == "weight_penalty")
        penalty = parse_weight_penalty(option, text);
    view.tensors.push_back(
        {name, tensor.extents(), sparsity(tensor), to_text(penalty), penalty.makes_zeros()});
  }
  view.hash = parameters.hash();
  view.learned = what_is_learned(*view.task, view.shape);
  view.outputs = outputs_before_ops(header, *view.task);
  if (store.metadata().contains("features"))
    view.features = speech::feature_option_table().from_json(note_of(store, "features", file));
  return view;
}

// The shares of rows, columns and blocks of a matrix that are all zero.
// Blocks are of the shapes that pay, and of the one that its penalty has.
Json blocks_of(const Tensor& tensor, const std::string& penalty) {
  std::vector<BlockShape> shapes{{8, 1}, {16, 1}, {1, 8}, {1, 16}};
  if (const size_t at = penalty.find("group_blocks="); at != penalty.npos) {
    const BlockShape own =
        parse_weight_penalty("penalty", penalty.substr(at, penalty.find(',', at) - at)).blocks;
    if (std::find(shapes.begin(), shapes.end(), own) == shapes.end()) shapes.push_back(own);
  }
  Json shares = Json::object();
  const Extents& extents = tensor.extents();
  const auto add = [&](const std::string& name, BlockShape shape) {
    shares[name] = zero_blocks(tensor, shape).fraction();
  };
  add("rows", {1, extents.back()});
  add("columns", {extents[extents.size() - 2], 1});
  for (const BlockShape shape : shapes) add(fmt::format("{}x{}", shape.rows, shape.columns), shape);
  return shares;
}

View load_view(const Store& store, StoredTensors stored, const std::string& file) {
  std::vector<std::string> missing;
  const ModelHeader header = read_header(store, file, &missing);
  View view = missing.empty() ? view_of(SavedModel::of(store, file))
                              : view_without_ops(store, header, std::move(missing), file);
  view.stored = std::move(stored);
  for (const TensorZeros& tensor : view.tensors)
    if (tensor.extents.size() > 1)
      view.blocks[tensor.name] = blocks_of(store.get(tensor.name), tensor.penalty);
  return view;
}

std::vector<LayerLine> layer_lines(const View& view) {
  const Shape input = view.shape.sequences ? Shape{dim::batch, dim::time, view.shape.dimensions}
                                           : Shape{dim::batch, view.shape.dimensions};
  std::vector<LayerLine> lines{{"features", "", text(input), 0}};
  const Strings names = names_of(view.layers);
  for (size_t i = 0; i < names.size(); ++i) {
    lines.push_back({names[i], changed_options(view.layers[i]),
                     i < view.outputs.size() ? text(view.outputs[i]) : "?", 0});
    for (const TensorZeros& tensor : view.tensors)
      if (tensor.name.starts_with(names[i] + "/")) lines.back().parameters += tensor.sparsity.count;
  }
  return lines;
}

// Of the tensors with zeros, how many of their rows, columns and blocks are all zero.
std::string block_table(const View& view) {
  Strings shapes;
  for (const auto& [name, shares] : view.blocks)
    for (const auto& [shape, share] : shares.items())
      if (std::find(shapes.begin(), shapes.end(), shape) == shapes.end()) shapes.push_back(shape);
  std::vector<Strings> rows{{"all zero of"}};
  rows[0].insert(rows[0].end(), shapes.begin(), shapes.end());
  for (const auto& [name, shares] : view.blocks) {
    if (std::all_of(shares.begin(), shares.end(), [](const Json& share) { return share == 0.0; })) continue;
    rows.push_back({name});
    for (const std::string& shape : shapes)
      rows.back().push_back(shares.contains(shape) ? percent(shares.at(shape).get<double>()) : "");
  }
  return rows.size() == 1 ? "" : "\n" + columns(rows, 0);
}

// How numbers that the model learns are standardised: the target, its mean, its deviation.
struct ScaledTarget {
  std::string name;
  data::TargetScale scale;
};
std::vector<ScaledTarget> scaled_targets(const DataShape& shape) {
  std::vector<ScaledTarget> scaled;
  const Strings names = task_parts::target_names(shape);
  const auto& classes = shape.targets.classes;
  for (size_t i = 0; i < shape.target_scales.size(); ++i)
    if (i >= classes.size() || classes[i].empty()) scaled.push_back({names[i], shape.target_scales[i]});
  return scaled;
}

std::string target_table(const std::vector<ScaledTarget>& scaled) {
  std::vector<Strings> rows{{"standardised target", "mean", "deviation"}};
  for (const auto& [name, scale] : scaled)
    rows.push_back({name, fmt::format("{:.6g}", scale.mean), fmt::format("{:.6g}", scale.deviation)});
  return scaled.empty() ? "" : "\n" + columns(rows, 0);
}

Json target_json(const std::vector<ScaledTarget>& scaled) {
  Json array = Json::array();
  for (const auto& [name, scale] : scaled)
    array.push_back({{"name", name}, {"mean", scale.mean}, {"deviation", scale.deviation}});
  return array;
}

// Where the arrays, or columns of a table, are among the numbers of an example, or of each of its frames.
std::string input_table(const std::vector<data::Column>& arrays) {
  std::vector<Strings> rows{{"input", "numbers"}};
  int64_t first = 0;
  for (const data::Column& array : arrays) {
    const int64_t last = first + array.width - 1;
    if (rows.size() <= most_inputs)
      rows.push_back(
          {array.name, array.width == 1 ? std::to_string(first) : fmt::format("{} to {}", first, last)});
    first = last + 1;
  }
  if (arrays.size() > most_inputs)
    rows.push_back({fmt::format("{} more", arrays.size() - most_inputs), "--json has all"});
  return arrays.empty() ? "" : "\n" + columns(rows, 0);
}

Json input_json(const std::vector<data::Column>& arrays) {
  Json list = Json::array();
  int64_t first = 0;
  for (const data::Column& array : arrays) {
    list.push_back({{"name", array.name}, {"first", first}, {"count", array.width}});
    first += array.width;
  }
  return list;
}

Json tensor_json(const View& view) {
  Json array = Json::array();
  for (const TensorZeros& tensor : view.tensors) {
    const StoredTensor& stored = view.stored.at(tensor.name);
    array.push_back({{"name", tensor.name},
                     {"shape", tensor.extents},
                     {"zeros", tensor.sparsity.zeros},
                     {"count", tensor.sparsity.count},
                     {"penalised", tensor.penalised},
                     {"frozen", tensor.frozen},
                     {"bytes", tensor.sparsity.count * static_cast<int64_t>(size_of(f32))},
                     {"stored_bytes", stored.bytes},
                     {"stored_as", stored.form}});
    if (const auto blocks = view.blocks.find(tensor.name); blocks != view.blocks.end())
      array.back()["zero_blocks"] = blocks->second;
  }
  return array;
}

}  // namespace

static void inspect(const Strings& words) {
  Arguments arguments("lariat inspect", "Shows what a saved model consists of: layers, zeros, features.",
                      "lariat inspect digits.safetensors");
  std::string file, json_name;
  arguments.input_word("MODEL", file, "what lariat train, search, solve or path wrote");
  arguments.plugins();
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  check_outputs({json_name}, {file});
  const JsonFile json(json_name);

  StoredTensors stored;
  const Store store = Store::load(file, &stored);
  if (SavedLinear::is_one(store)) return json.write(inspect_linear(SavedLinear::of(store, file), file));
  const View model = load_view(store, std::move(stored), file);
  const std::vector<TensorZeros>& tensors = model.tensors;
  const Sparsity penalised = total(tensors, true), all = total(tensors);
  const std::vector<LayerLine> layers = layer_lines(model);
  const double bytes = file_bytes(file);
  const std::string hash = fmt::format("{:016x}", model.hash);
  Json features = nullptr;
  if (model.features) features = parse_json(speech::feature_option_table().to_json(*model.features));

  std::vector<Strings> rows{{"layer", "output", "parameters", "options"}};
  Json layer_json = Json::array();
  for (const LayerLine& layer : layers) {
    rows.push_back(
        {layer.name, layer.output, layer.parameters == 0 ? "" : grouped(layer.parameters), layer.options});
    layer_json.push_back({{"name", layer.name},
                          {"output", layer.output},
                          {"parameters", layer.parameters},
                          {"options", layer.options}});
  }
  print(fmt::format("{}: {}, {}\n\n", file, bytes_text(bytes), model.learned));
  print(columns(rows, 0) + input_table(model.shape.columns) + "\n" + tensor_table(tensors, model.stored));
  print(block_table(model));
  const std::vector<ScaledTarget> scaled = scaled_targets(model.shape);
  print(target_table(scaled));
  print(fmt::format("\n{} parameters, {} of them not zero; {} of {} penalised weights are exactly zero\n",
                    grouped(all.count), grouped(all.count - all.zeros), percent(penalised.fraction()),
                    grouped(penalised.count)));
  for (const std::string& line : model.missing) report(line);
  if (model.features) {
    std::vector<Strings> options;
    const auto& table = speech::feature_option_table();
    for (const auto& option : table.options()) {
      const std::string value = option.get(*model.features);
      options.push_back(
          {option.name, value, value == option.default_value ? "" : "default " + option.default_value});
    }
    print("\nfeatures\n" + columns(options));
  }
  json.write({{"file", file},
              {"bytes", static_cast<int64_t>(bytes)},
              {"zero_fraction", penalised.fraction()},
              {"zero_fraction_all", all.fraction()},
              {"parameters", all.count},
              {"nonzeros", all.count - all.zeros},
              {"state_hash", hash},
              {"task", model.task->name},
              {"classes", model.shape.classes},
              {"inputs", input_json(model.shape.columns)},
              {"layers", layer_json},
              {"tensors", tensor_json(model)},
              {"standardised_targets", target_json(scaled)},
              {"features", features},
              {"missing", model.missing}});
}

Command command_records::inspect() {
  return {"inspect", "show what a saved model consists of", cli::inspect, CommandGroup::files};
}

}  // namespace lariat::cli
