#pragma once

#include <functional>
#include <string>
#include <vector>

#include "frontends/data/dataset.hpp"
#include "frontends/sequential/layer.hpp"

namespace lariat {

/// How the layers of a model feed each other. A stack, in which each takes what the one before it gives, is
/// one way of it.
struct Wiring {
  /// What a layer, by its place in the list, gives, or a state that it ends with; or a column of the data.
  struct Source {
    int64_t layer = -1;
    std::string column = {};
    std::string state = {};
    friend bool operator==(const Source&, const Source&) = default;
  };
  std::vector<std::string> names;
  std::vector<std::vector<Source>> inputs;
  /// What each layer's states begin with; none: zeros.
  std::vector<std::vector<Source>> initial;
  /// Whose weights and options a layer has: its own place, or another's.
  std::vector<size_t> owners;
  /// The layers' places, each after those that it takes.
  std::vector<size_t> order;
  /// What the model gives: of layers, and states that they end with.
  std::vector<Source> outputs;

  /// "encoder", "encoder.hidden", or the column.
  std::string name_of(const Source& source) const;
  size_t output_layer(size_t output = 0) const { return static_cast<size_t>(outputs[output].layer); }
};

/// What layers may be named as inputs or outputs: "encoder", "encoder.hidden", …
std::vector<std::string> value_names(const std::vector<LayerSpec>& layers);
/// What is taken of a layer; its states have places by its kind.
Signal taken_of(const Signal& signal, const Wiring::Source& source, const LayerSpec& layer);

/// The name of all that an example has, as one input.
inline constexpr const char* all_columns = "features";

/// What a layer's messages begin with, by its place in the list.
using LayerPlaces = std::function<std::string(size_t)>;

/// `outputs` are the names of layers or of their states; without one, the last layer is the output. `columns`
/// are those of the data beside all_columns; where they are nullptr, any name may be one. Throws UserError
/// where a name is there twice or not at all, layers feed each other in a circle, nothing takes what a layer
/// gives, or a layer shares what it cannot. `places` stands before the messages; without it "layer NAME: ".
Wiring wiring_of(const std::vector<LayerSpec>& layers, const std::vector<std::string>& outputs = {},
                 const std::vector<std::string>* columns = nullptr, const LayerPlaces& places = {});

/// Calls `fail` where a state is known to begin with what is of another size.
void check_initial_sizes(const std::vector<LayerSpec>& layers, const Wiring& wiring,
                         const std::function<void(size_t layer, const std::string& message)>& fail);

/// Each layer's outputs in a graph, by its place in the list. `columns` are those of the data, all_columns
/// among them; `outputs` how many outputs a layer must have where it does not say so itself. Throws UserError
/// naming the layer where one does not fit what it takes; `built` counts those that do.
std::vector<Signal> build_layers(Graph& graph, const std::vector<LayerSpec>& layers, const Wiring& wiring,
                                 const std::map<std::string, Signal>& columns,
                                 const std::function<int64_t(size_t)>& outputs, Penalties& penalties,
                                 size_t* built = nullptr);

/// How many frames examples need: enough to leave every layer one, and the layer whose outputs are a sequence
/// of symbols as many as these take.
class NeededFrames {
 public:
  /// `output` is that layer's name; empty: the last one.
  explicit NeededFrames(std::vector<LayerSpec> layers, std::string output = {})
      : layers_(std::move(layers)), output_(std::move(output)) {}
  /// Of an example of data with such targets.
  int64_t of(const data::Example& example, const data::Targets& targets);
  /// "the model needs 12", and for what: the end of a message about a shorter one.
  std::string text_of(const data::Example& example, const data::Targets& targets);

 private:
  const std::vector<LayerSpec> layers_;
  const std::string output_;
  std::map<int64_t, int64_t> known_;
};

}  // namespace lariat
