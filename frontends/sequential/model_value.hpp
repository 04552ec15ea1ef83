#pragma once

#include <map>
#include <memory>

#include "frontends/sequential/layer.hpp"
#include "graph/base/tensor.hpp"

namespace lariat {

/// What a layer makes of others, or a column of the data, while a Model is written.
class ModelValue {
 public:
  /// A column of the data; "features" is all of them.
  explicit ModelValue(std::string column);
  /// What a layer makes of these; of another layer of the same identity it has the weights.
  ModelValue(LayerSpec layer, const std::vector<ModelValue>& inputs,
             std::shared_ptr<const std::map<std::string, Tensor>> weights = nullptr,
             const std::vector<ModelValue>& initial_state = {});

  /// A state that its layer ends with, [batch, units], behind each sequence's own last frame: "hidden", or
  /// "cell" of an Lstm; "forward_hidden", … of a Bidirectional layer. Throws UserError with the nearest name,
  /// or where it is of no such layer.
  ModelValue state(const std::string& name) const;
  /// All of them, in the order in which such a layer takes them: `decoder(x, encoded.states())`.
  std::vector<ModelValue> states() const;

 private:
  friend struct ModelParts;
  struct Part;
  std::shared_ptr<const Part> part_;
};

/// What a model takes: all of an example, or a column of the data by its name.
inline ModelValue input(std::string column = "features") { return ModelValue(std::move(column)); }

template <class... Others>
ModelValue LayerSpec::operator()(const ModelValue& input, const Others&... others) const {
  return apply({input, others...});
}

/// Values as a list of layers, each after those that it takes: what a recipe says of them.
struct ModelParts {
  std::vector<LayerSpec> layers;
  /// Of the layers that are the outputs, in their order.
  std::vector<std::string> outputs;
  /// First values of weights, by their names.
  std::map<std::string, Tensor> weights;

  /// Throws UserError where a column is not among the inputs, or an input leads to no output.
  static std::vector<std::string> columns_of(const std::vector<ModelValue>& inputs);
  static ModelParts of(const std::vector<ModelValue>& inputs, const std::vector<ModelValue>& outputs);
  /// What the layers make of `inputs`, which stand for `columns`, and so on: a model as a layer. `weights`
  /// are the layers', or empty.
  static std::vector<ModelValue> applied(const std::vector<LayerSpec>& layers,
                                         const std::vector<std::string>& outputs,
                                         const std::vector<std::string>& columns,
                                         const std::vector<ModelValue>& inputs,
                                         const std::map<std::string, Tensor>& weights);
};

}  // namespace lariat
