#include "frontends/compact/compact_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>

#include "frontends/sequential/model_file.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat {

namespace {

// The layers, and the names of those whose values are the model's. Those that take each other's outputs one
// after the other do not say so, for others may come between them.
Stack layers_of(const ModelHeader& header) {
  std::vector<std::string> columns;
  for (const data::Column& column : header.shape.columns) columns.push_back(column.name);
  std::vector<std::string> outputs;
  for (const ModelOutput& output : header.outputs)
    if (!output.layer.empty()) outputs.push_back(output.layer);
  const Wiring wiring = wiring_of(header.layers, outputs, &columns);
  bool follows = wiring.outputs.size() == 1 &&
                 wiring.outputs.front() == Wiring::Source{static_cast<int64_t>(header.layers.size()) - 1};
  for (size_t i = 0; i < header.layers.size(); ++i) {
    const std::vector<Wiring::Source>& taken = wiring.inputs[i];
    follows = follows && taken.size() == 1 && taken[0].state.empty() && wiring.initial[i].empty() &&
              (i == 0 ? taken[0].column == all_columns : taken[0].layer == static_cast<int64_t>(i) - 1);
  }
  Stack stack{header.layers, {}, header.shape};
  for (const Wiring::Source& output : wiring.outputs)
    if (!follows) stack.output_names.push_back(wiring.name_of(output));
  for (LayerSpec& layer : stack.layers)
    if (follows) layer = layer.with("input", "");
  return stack;
}

}  // namespace

Stack stack_of(const Store& model, const std::string& file) {
  const ModelHeader header = read_header(model, file);
  check_finite(model, file);
  Stack stack = layers_of(header);
  at_place(fmt::format("'{}': ", file), [&] {
    const Network network = build_network(header.layers, header.shape, header.outputs);
    for (const Head& head : network.heads) stack.widths.push_back(head.task->outputs(head.shape));
    stack.outputs = stack.widths.front();
    if (stack.widths.size() == 1) stack.widths.clear();
    stack.weights = parameters_of(network, model, file);
  });
  return stack;
}

Store with_stack(const Store& model, const Stack& stack, const std::string& file) {
  ModelHeader header = read_header(model, file);
  const Stack old = stack_of(model, file);
  Store result;
  result.metadata() = model.metadata();
  for (const auto& [name, tensor] : model)
    if (old.weights.find(name) == nullptr) result.set(name, tensor);
  for (const auto& [name, tensor] : stack.weights) result.set(name, tensor);
  header.layers = stack.layers;
  write_header(result, header);
  if (const auto note = result.metadata().find("recipe"); note != result.metadata().end()) {
    auto recipe = parse_json(note->second);
    recipe["layers"] = parse_json(to_json(stack.layers));
    note->second = Recipe::from_json(recipe.dump()).to_json();
  }
  return result;
}

data::Dataset data_for(const SavedModel& model, const std::string& path) {
  std::error_code none;
  if (std::filesystem::is_directory(path, none)) return model.load_data(path);
  if (model.is_audio()) return model.read_recordings({path});
  return model.reads_rows() || path.ends_with(".npy") ? model.read_rows(path) : model.load_data(path);
}

namespace {

void compare(const Prediction& expected, const Prediction& found, ModelDifference& difference) {
  difference.other_labels += expected.label != found.label ? 1 : 0;
  for (size_t j = 0; j < expected.values.size(); ++j) {
    const float a = expected.values[j], b = found.values[j];
    difference.largest =
        std::max(difference.largest, std::fabs(static_cast<double>(a) - static_cast<double>(b)));
    difference.largest_number = std::max(difference.largest_number, std::fabs(static_cast<double>(a)));
    difference.same_bits = difference.same_bits && std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
  }
}

}  // namespace

ModelDifference difference_of(SavedModel& before, SavedModel& after, const data::Dataset& dataset,
                              const std::string& name) {
  ModelDifference difference{dataset.examples.size()};
  at_place(name, [&] {
    const std::vector<Prediction> expected = before.predict(dataset), found = after.predict(dataset);
    for (size_t i = 0; i < expected.size(); ++i) {
      if (expected[i].outputs.empty()) compare(expected[i], found[i], difference);
      for (size_t o = 0; o < expected[i].outputs.size(); ++o)
        compare(expected[i].outputs[o], found[i].outputs[o], difference);
    }
  });
  return difference;
}

}  // namespace lariat
