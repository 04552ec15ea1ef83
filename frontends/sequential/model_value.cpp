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
  /// So many of the inputs, the last ones, are what a layer's states begin with.
  size_t initial = 0;
  /// A state that the layer of the one input ends with.
  std::string state;
};

ModelValue::ModelValue(std::string column)
    : part_(std::make_shared<Part>(Part{std::move(column), std::nullopt, {}, nullptr, 0, {}})) {}

ModelValue::ModelValue(LayerSpec layer, const std::vector<ModelValue>& inputs,
                       std::shared_ptr<const std::map<std::string, Tensor>> weights,
                       const std::vector<ModelValue>& initial_state) {
  std::vector<std::shared_ptr<const Part>> parts;
  for (const ModelValue& input : inputs) parts.push_back(input.part_);
  for (const ModelValue& state : initial_state) parts.push_back(state.part_);
  part_ = std::make_shared<Part>(
      Part{{}, std::move(layer), std::move(parts), std::move(weights), initial_state.size(), {}});
}

ModelValue ModelValue::state(const std::string& name) const {
  if (!part_->layer)
    throw UserError(
        part_->state.empty()
            ? fmt::format("'{}' is a column of the data, which has no states; recurrent layers have",
                          part_->column)
            : fmt::format("'{}' is a state itself; take '{}' of its layer's value", part_->state, name));
  const std::string& kind = part_->layer->kind;
  const std::vector<std::string>& known = layer_kind_of(*part_->layer).states;
  if (known.empty())
    throw UserError(
        fmt::format("a layer of the kind {} has no state '{}'; recurrent layers have states", kind, name));
  if (std::find(known.begin(), known.end(), name) == known.end())
    throw UserError(
        fmt::format("a layer of the kind {} has no state '{}'.{}", kind, name, did_you_mean(name, known)));
  ModelValue result{std::string()};
  result.part_ = std::make_shared<Part>(Part{{}, std::nullopt, {part_}, nullptr, 0, name});
  return result;
}

std::vector<ModelValue> ModelValue::states() const {
  if (!part_->layer || layer_kind_of(*part_->layer).states.empty())
    state("hidden");  // says why there are none
  std::vector<ModelValue> result;
  for (const std::string& name : layer_kind_of(*part_->layer).states) result.push_back(state(name));
  return result;
}

ModelValue LayerSpec::apply(const std::vector<ModelValue>& inputs) const { return {*this, inputs}; }

ModelValue LayerSpec::operator()(const ModelValue& input,
                                 const std::vector<ModelValue>& initial_state) const {
  return {*this, {input}, nullptr, initial_state};
}

std::vector<std::string> ModelParts::columns_of(const std::vector<ModelValue>& inputs) {
  std::vector<std::string> columns;
  for (const ModelValue& input : inputs) {
    if (input.part_->layer || !input.part_->state.empty())
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
    return std::any_of(order.begin(), order.end(), [&](const Part* part) {
      return !part->layer && part->state.empty() && part->column == column;
    });
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
    } else if (!part->state.empty()) {
      continue;
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
    const Part* of = part->state.empty() ? part : part->inputs.front().get();
    const auto found = std::find(in_list.begin(), in_list.end(), of);
    if (found == in_list.end()) return part->column;
    const std::string& name = names[static_cast<size_t>(found - in_list.begin())];
    return part->state.empty() ? name : name + "." + part->state;
  };
  for (size_t i = 0; i < in_list.size(); ++i) {
    std::vector<std::string> from, initial;
    const size_t inputs = in_list[i]->inputs.size() - in_list[i]->initial;
    for (size_t j = 0; j < in_list[i]->inputs.size(); ++j)
      (j < inputs ? from : initial).push_back(name_of_part(in_list[i]->inputs[j].get()));
    // What a stack of layers has anyway goes without saying.
    const std::string before = i == 0 ? std::string(all_columns) : names[i - 1];
    const std::shared_ptr<const int> identity = parts.layers[i].identity;
    parts.layers[i] = parts.layers[i]
                          .with("input", from == std::vector<std::string>{before} ? "" : join_words(from))
                          .with("initial_state", join_words(initial))
                          .with("shares", owners[i] == i ? "" : names[owners[i]]);
    if (in_list[i]->weights && owners[i] == i)
      for (const auto& [what, tensor] : *in_list[i]->weights) parts.weights[names[i] + "/" + what] = tensor;
  }
  for (const ModelValue& output : outputs) {
    if (!output.part_->layer && output.part_->state.empty())
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
  const auto value_of = [&](const Wiring::Source& source) {
    if (source.layer >= 0) {
      const ModelValue& value = *values[static_cast<size_t>(source.layer)];
      return source.state.empty() ? value : value.state(source.state);
    }
    const auto column = std::find(columns.begin(), columns.end(), source.column);
    require(column != columns.end(), "a model's columns are known");
    return inputs[static_cast<size_t>(column - columns.begin())];
  };
  for (const size_t layer : wiring.order) {
    std::vector<ModelValue> taken, initial;
    for (const Wiring::Source& source : wiring.inputs[layer]) taken.push_back(value_of(source));
    for (const Wiring::Source& source : wiring.initial[layer]) initial.push_back(value_of(source));
    const size_t owner = wiring.owners[layer];
    auto own = std::make_shared<std::map<std::string, Tensor>>();
    const std::string prefix = wiring.names[owner] + "/";
    for (const auto& [name, tensor] : weights)
      if (name.starts_with(prefix)) own->emplace(name.substr(prefix.size()), tensor);
    values[layer] = ModelValue(layers[owner], taken, own, initial);
  }
  std::vector<ModelValue> result;
  for (const Wiring::Source& output : wiring.outputs) result.push_back(value_of(output));
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
