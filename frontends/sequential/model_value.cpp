#include "frontends/sequential/model_value.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "frontends/sequential/sequential.hpp"
#include "frontends/sequential/wiring.hpp"
#include "graph/base/error.hpp"

namespace lariat {

struct ModelValue::Part {
  std::string column;
  std::optional<LayerSpec> layer;
  std::vector<std::shared_ptr<const Part>> inputs;
  std::shared_ptr<const std::map<std::string, Tensor>> weights;
};

ModelValue::ModelValue(std::string column)
    : part_(std::make_shared<Part>(Part{std::move(column), std::nullopt, {}, nullptr})) {}

ModelValue::ModelValue(LayerSpec layer, const std::vector<ModelValue>& inputs,
                       std::shared_ptr<const std::map<std::string, Tensor>> weights) {
  std::vector<std::shared_ptr<const Part>> parts;
  for (const ModelValue& input : inputs) parts.push_back(input.part_);
  part_ = std::make_shared<Part>(Part{{}, std::move(layer), std::move(parts), std::move(weights)});
}

ModelValue LayerSpec::apply(const std::vector<ModelValue>& inputs) const { return {*this, inputs}; }

std::vector<std::string> ModelParts::columns_of(const std::vector<ModelValue>& inputs) {
  std::vector<std::string> columns;
  for (const ModelValue& input : inputs) {
    if (input.part_->layer)
      throw UserError(
          "a model's inputs are columns of the data; begin with input(), not with a layer's value");
    if (std::find(columns.begin(), columns.end(), input.part_->column) != columns.end())
      throw UserError(fmt::format("'{}' is an input of the model twice; leave one out", input.part_->column));
    columns.push_back(input.part_->column);
  }
  return columns;
}

ModelParts ModelParts::of(const std::vector<ModelValue>& inputs, const std::vector<ModelValue>& outputs) {
  using Part = ModelValue::Part;
  std::vector<const Part*> order, path;
  std::map<const Part*, bool> known;  // by whether they are in the order
  for (const ModelValue& output : outputs) {
    if (!known.contains(output.part_.get())) path.push_back(output.part_.get());
    while (!path.empty()) {
      const Part* part = path.back();
      known.emplace(part, false);
      const auto waiting = std::find_if(part->inputs.begin(), part->inputs.end(),
                                        [&](const auto& input) { return !known.contains(input.get()); });
      if (waiting != part->inputs.end()) {
        path.push_back(waiting->get());
        continue;
      }
      if (!std::exchange(known[part], true)) order.push_back(part);
      path.pop_back();
    }
  }
  if (outputs.empty()) throw UserError("the model has no outputs; give it the value of a layer");
  const std::vector<std::string> columns = columns_of(inputs);
  // Inputs of one name are one.
  const auto leads_on = [&](const std::string& column) {
    return std::any_of(order.begin(), order.end(),
                       [&](const Part* part) { return !part->layer && part->column == column; });
  };
  for (const ModelValue& input : inputs)
    if (!leads_on(input.part_->column))
      throw UserError(fmt::format("the model's input '{}' leads to none of its outputs; leave it out",
                                  input.part_->column));

  ModelParts parts;
  std::vector<const Part*> in_list;
  for (const Part* part : order) {
    if (part->layer) {
      in_list.push_back(part);
      parts.layers.push_back(*part->layer);
    } else if (std::find(columns.begin(), columns.end(), part->column) == columns.end()) {
      throw UserError(columns.empty()
                          ? fmt::format("the model takes the column '{}', but has no inputs; name it as one",
                                        part->column)
                          : fmt::format("the model takes the column '{}', which is not among its inputs {}",
                                        part->column, fmt::join(columns, ", ")));
    }
  }
  if (in_list.empty()) throw UserError("the model has no layers; it needs at least a dense layer");
  // The first of a layer's places has its weights.
  std::map<std::pair<const int*, std::string>, size_t> first;
  std::vector<size_t> owners;
  for (size_t i = 0; i < in_list.size(); ++i) {
    owners.push_back(
        first.emplace(std::pair(parts.layers[i].identity.get(), parts.layers[i].kind), i).first->second);
    if (owners[i] != i) parts.layers[i] = parts.layers[i].with("name", "");
  }
  const std::vector<std::string> names = names_of(parts.layers);
  const auto name_of_part = [&](const Part* part) {
    const auto found = std::find(in_list.begin(), in_list.end(), part);
    return found == in_list.end() ? part->column : names[static_cast<size_t>(found - in_list.begin())];
  };
  for (size_t i = 0; i < in_list.size(); ++i) {
    std::vector<std::string> from;
    for (const auto& input : in_list[i]->inputs) from.push_back(name_of_part(input.get()));
    // What a stack of layers has anyway goes without saying.
    const std::string before = i == 0 ? std::string(all_columns) : names[i - 1];
    const std::shared_ptr<const int> identity = parts.layers[i].identity;
    parts.layers[i] = parts.layers[i]
                          .with("input", from == std::vector<std::string>{before} ? "" : join_words(from))
                          .with("shares", owners[i] == i ? "" : names[owners[i]]);
    if (in_list[i]->weights && owners[i] == i)
      for (const auto& [what, tensor] : *in_list[i]->weights) parts.weights[names[i] + "/" + what] = tensor;
  }
  for (const ModelValue& output : outputs) {
    if (!output.part_->layer)
      throw UserError(fmt::format("the model's output '{}' is a column of the data; put a layer before it",
                                  output.part_->column));
    parts.outputs.push_back(name_of_part(output.part_.get()));
  }
  return parts;
}

std::vector<ModelValue> ModelParts::applied(const std::vector<LayerSpec>& layers,
                                            const std::vector<std::string>& outputs,
                                            const std::vector<std::string>& columns,
                                            const std::vector<ModelValue>& inputs,
                                            const std::map<std::string, Tensor>& weights) {
  if (inputs.size() != columns.size())
    throw UserError(fmt::format("the model takes {} input{} ({}), but is given {}", columns.size(),
                                columns.size() == 1 ? "" : "s", fmt::join(columns, ", "), inputs.size()));
  const Wiring wiring = wiring_of(layers, outputs);
  std::vector<std::optional<ModelValue>> values(layers.size());
  for (const size_t layer : wiring.order) {
    std::vector<ModelValue> taken;
    for (const Wiring::Source& source : wiring.inputs[layer]) {
      const auto column = std::find(columns.begin(), columns.end(), source.column);
      require(source.layer >= 0 || column != columns.end(), "a model's columns are known");
      taken.push_back(source.layer >= 0 ? *values[static_cast<size_t>(source.layer)]
                                        : inputs[static_cast<size_t>(column - columns.begin())]);
    }
    const size_t owner = wiring.owners[layer];
    auto own = std::make_shared<std::map<std::string, Tensor>>();
    const std::string prefix = wiring.names[owner] + "/";
    for (const auto& [name, tensor] : weights)
      if (name.starts_with(prefix)) own->emplace(name.substr(prefix.size()), tensor);
    values[layer] = ModelValue(layers[owner], taken, own);
  }
  std::vector<ModelValue> result;
  for (const size_t output : wiring.outputs) result.push_back(*values[output]);
  return result;
}

std::vector<std::string> LayerWeights::names() const {
  const std::string prefix = layer_ + "/";
  std::vector<std::string> names;
  for (const TensorZeros& tensor : model_.zeros())
    if (tensor.name.starts_with(prefix)) names.push_back(tensor.name.substr(prefix.size()));
  return names;
}

std::string LayerWeights::full(const std::string& name) const {
  const std::vector<std::string> known = names();
  if (std::find(known.begin(), known.end(), name) != known.end()) return layer_ + "/" + name;
  throw UserError(fmt::format("layer {}: has no weight '{}'; it has {}{}", layer_, name,
                              known.empty() ? "none" : join_words(known),
                              known.empty() ? "" : "." + did_you_mean(name, known)));
}

Tensor LayerWeights::weight(const std::string& name) const { return model_.weight(full(name)); }

void LayerWeights::set(const std::string& name, const Tensor& value) {
  const std::string of = full(name);
  if (const Tensor known = model_.weight(of); known.type() != value.type())
    throw UserError(fmt::format("layer {}: its weight '{}' is {}, but this is {}; give it that shape", layer_,
                                name, text(known.type()), text(value.type())));
  if (!is_finite(value))
    throw UserError(fmt::format("layer {}: what '{}' is to be holds NaN or infinity", layer_, name));
  model_.set_weight(of, value);
}

}  // namespace lariat
