#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/summary.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "graph/store.hpp"

namespace lariat::cli {

namespace {

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

std::vector<LayerLine> layer_lines(const std::vector<LayerSpec>& layers, const DataShape& shape,
                                   const std::vector<TensorZeros>& tensors) {
  Graph graph;
  Signal signal;
  const Shape input =
      shape.sequences ? Shape{dim::batch, dim::time, shape.dimensions} : Shape{dim::batch, shape.dimensions};
  signal.value = graph.input("features", input);
  if (shape.sequences) signal.lengths = graph.input("lengths", {dim::batch}, i32);
  std::vector<LayerLine> lines{{"features", "", text(input), 0}};
  Penalties penalties;
  std::map<std::string, int> counts;
  for (const LayerSpec& layer : layers) {
    LayerContext context(graph, fmt::format("{}_{}", layer.kind, ++counts[layer.kind]),
                         static_cast<int64_t>(shape.classes.size()), penalties);
    signal = layer_kind_of(layer).build(context, signal, layer);
    lines.push_back({context.name, changed_options(layer), text(signal.value.shape()), 0});
    for (const TensorZeros& tensor : tensors)
      if (tensor.name.starts_with(context.name + "/")) lines.back().parameters += tensor.sparsity.count;
  }
  return lines;
}

nlohmann::ordered_json tensor_json(const std::vector<TensorZeros>& tensors) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const TensorZeros& tensor : tensors)
    array.push_back({{"name", tensor.name},
                     {"shape", tensor.extents},
                     {"zeros", tensor.sparsity.zeros},
                     {"count", tensor.sparsity.count},
                     {"penalised", tensor.penalised},
                     {"bytes", tensor.sparsity.count * static_cast<int64_t>(size_of(f32))}});
  return array;
}

}  // namespace

void inspect(const Strings& words) {
  Arguments arguments("lariat inspect", "Shows what a saved model consists of: layers, zeros, features.",
                      "lariat inspect digits.safetensors");
  std::string file, json_name;
  arguments.word("MODEL", file, "what lariat train wrote");
  arguments.plugins();
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  check_outputs({json_name}, {file});
  const JsonFile json(json_name);

  SavedModel model = SavedModel::load(file);
  const std::vector<TensorZeros> tensors = model.model().zeros();
  const Sparsity penalised = total(tensors, true), all = total(tensors);
  const std::vector<LayerLine> layers = layer_lines(model.model().layers(), model.model().shape(), tensors);
  const double bytes = file_bytes(file);
  const std::string hash = fmt::format("{:016x}", model.model().parameter_hash());
  nlohmann::ordered_json features = nullptr;
  if (model.is_audio())
    features = nlohmann::ordered_json::parse(speech::feature_option_table().to_json(model.features()));

  std::vector<Strings> rows{{"layer", "output", "parameters", "options"}};
  nlohmann::ordered_json layer_json = nlohmann::ordered_json::array();
  for (const LayerLine& layer : layers) {
    rows.push_back(
        {layer.name, layer.output, layer.parameters == 0 ? "" : grouped(layer.parameters), layer.options});
    layer_json.push_back({{"name", layer.name},
                          {"output", layer.output},
                          {"parameters", layer.parameters},
                          {"options", layer.options}});
  }
  print(fmt::format("{}: {}, {} classes\n\n", file, bytes_text(bytes), model.classes().size()));
  print(columns(rows, 0) + "\n" + tensor_table(tensors));
  print(fmt::format("\n{} parameters, {} of them not zero; {} of {} penalised weights are exactly zero\n",
                    grouped(all.count), grouped(all.count - all.zeros), percent(penalised.fraction()),
                    grouped(penalised.count)));
  if (model.is_audio()) {
    std::vector<Strings> options;
    const auto& table = speech::feature_option_table();
    for (const auto& option : table.options()) {
      const std::string value = option.get(model.features());
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
              {"classes", model.classes()},
              {"layers", layer_json},
              {"tensors", tensor_json(tensors)},
              {"features", features}});
}

}  // namespace lariat::cli
