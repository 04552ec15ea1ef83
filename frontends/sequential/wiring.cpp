#include "frontends/sequential/wiring.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "frontends/sequential/symbols.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

/// Makes a wiring, step by step.
class WiringBuilder {
 public:
  WiringBuilder(const std::vector<LayerSpec>& layers, const std::vector<std::string>* columns,
                const LayerPlaces& places)
      : layers_(layers), columns_(columns), places_(places) {
    wiring_.names = names_of(layers);
    for (const LayerSpec& layer : layers) layer_places_.push_back(place_of(layer));
  }

  Wiring build(const std::vector<std::string>& outputs) {
    check_names();
    check_biases();
    for (size_t i = 0; i < layers_.size(); ++i) add_inputs(i);
    for (size_t i = 0; i < layers_.size(); ++i) add_owner(i);
    add_outputs(outputs);
    add_order();
    check_used();
    return std::move(wiring_);
  }

 private:
  [[noreturn]] void fail(size_t layer, const std::string& message) const {
    throw UserError((places_ ? places_(layer) : fmt::format("layer {}: ", wiring_.names[layer])) + message);
  }

  int64_t find(const std::string& name) const {
    const auto found = std::find(wiring_.names.begin(), wiring_.names.end(), name);
    return found == wiring_.names.end() ? -1 : found - wiring_.names.begin();
  }

  bool is_column(const std::string& name) const {
    return name == all_columns || columns_ == nullptr ||
           std::find(columns_->begin(), columns_->end(), name) != columns_->end();
  }

  void check_names() const {
    for (size_t i = 0; i < layers_.size(); ++i) {
      const std::string& name = wiring_.names[i];
      const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-' || c == '.' || c == '/';
      });
      if (!plain || name.front() == '/' || name.back() == '/')
        fail(i, fmt::format("name = {}: must be of letters, digits, _, - and .", data::shortened(name)));
      if (name == all_columns)
        fail(i, fmt::format("name = {}: is what the data are called; take another name", name));
      if (const int64_t first = find(name); first != static_cast<int64_t>(i))
        fail(i,
             fmt::format("name = {}: layers.{} has that name, too; give one of them another", name, first));
    }
  }

  void check_biases() const {
    for (size_t i = 0; i < layers_.size(); ++i)
      for (const auto& [option, value] : layers_[i].options)
        if (option == "bias_penalty" && value != "none" && !has_bias(layers_[i]))
          fail(i, fmt::format("bias_penalty = {}: has no effect with use_bias = false; leave it out", value));
  }

  void add_inputs(size_t layer) {
    std::vector<Wiring::Source> sources;
    for (const std::string& name : layer_places_[layer].input) {
      const int64_t found = find(name);
      if (found < 0 && !is_column(name)) {
        std::vector<std::string> known = wiring_.names;
        known.emplace_back(all_columns);
        known.insert(known.end(), columns_->begin(), columns_->end());
        fail(layer, fmt::format("input = {}: there is no layer and no column of that name.{}",
                                data::shortened(name), did_you_mean(name, known)));
      }
      sources.push_back({found, found < 0 ? name : ""});
    }
    if (sources.empty())
      sources.push_back(layer == 0 ? Wiring::Source{-1, all_columns}
                                   : Wiring::Source{static_cast<int64_t>(layer) - 1});
    if (sources.size() > 1 && !layer_kind_of(layers_[layer]).merge)
      fail(layer, fmt::format("takes one input, but is given {}: {}; put a concat, add or multiply before it",
                              sources.size(), fmt::join(layer_places_[layer].input, ", ")));
    wiring_.inputs.push_back(std::move(sources));
  }

  void add_owner(size_t layer) {
    size_t owner = layer;
    for (size_t steps = 0; !layer_places_[owner].shares.empty(); ++steps) {
      const std::string& name = layer_places_[owner].shares;
      const int64_t found = find(name);
      if (found < 0)
        fail(layer, fmt::format("shares = {}: there is no layer of that name.{}", data::shortened(name),
                                did_you_mean(name, wiring_.names)));
      if (steps > layers_.size() || found == static_cast<int64_t>(layer))
        fail(layer,
             fmt::format("shares = {}: layers share each other's weights in a circle; one must have its own",
                         layer_places_[layer].shares));
      owner = static_cast<size_t>(found);
    }
    if (owner != layer) {
      if (layers_[owner].kind != layers_[layer].kind)
        fail(layer, fmt::format("shares = {}: that is a layer of the kind {}, and this one is of {}",
                                layer_places_[layer].shares, layers_[owner].kind, layers_[layer].kind));
      const SpecKind& kind = layer_kind_of(layers_[layer]).spec;
      for (const SpecOption& option : kind.options) {
        const bool own = option.name == "name" || option.name == "input" || option.name == "shares";
        const std::string& value = layers_[layer].at(option.name);
        if (!own && value != option.default_value && value != layers_[owner].at(option.name))
          fail(layer,
               fmt::format("{} = {}: has no effect, for '{}' has {}; a layer that shares has the options "
                           "of that layer, so leave it out",
                           option.name, value, wiring_.names[owner], layers_[owner].at(option.name)));
      }
    }
    wiring_.owners.push_back(owner);
  }

  void add_outputs(const std::vector<std::string>& outputs) {
    if (outputs.empty()) wiring_.outputs.push_back(layers_.size() - 1);
    for (const std::string& name : outputs) {
      const int64_t found = find(name);
      if (found < 0)
        throw UserError(fmt::format("there is no layer '{}' to be an output.{}", data::shortened(name),
                                    did_you_mean(name, wiring_.names)));
      if (std::find(wiring_.outputs.begin(), wiring_.outputs.end(), static_cast<size_t>(found)) !=
          wiring_.outputs.end())
        throw UserError(fmt::format("'{}' is an output twice; leave one out", name));
      wiring_.outputs.push_back(static_cast<size_t>(found));
    }
  }

  // In the order of the list, but each after what it takes.
  void add_order() {
    std::vector<char> state(layers_.size());  // 1: waits for another, 2: done
    for (size_t first = 0; first < layers_.size(); ++first) {
      std::vector<size_t> path;
      if (state[first] == 0) path.push_back(first);
      while (!path.empty()) {
        const size_t layer = path.back();
        state[layer] = 1;
        const auto waiting = std::find_if(
            wiring_.inputs[layer].begin(), wiring_.inputs[layer].end(), [&](const Wiring::Source& source) {
              return source.layer >= 0 && state[static_cast<size_t>(source.layer)] != 2;
            });
        if (waiting == wiring_.inputs[layer].end()) {
          state[layer] = 2;
          wiring_.order.push_back(layer);
          path.pop_back();
        } else if (const auto next = static_cast<size_t>(waiting->layer); state[next] == 1) {
          fail_circle(path, next);
        } else {
          path.push_back(next);
        }
      }
    }
  }

  [[noreturn]] void fail_circle(std::vector<size_t> path, size_t first) const {
    path.erase(path.begin(), std::find(path.begin(), path.end(), first));
    std::vector<std::string> names;
    for (auto layer = path.rbegin(); layer != path.rend(); ++layer) names.push_back(wiring_.names[*layer]);
    fail(first,
         fmt::format("layers feed each other in a circle: {} to {}; one of them must take another input",
                     fmt::join(names, " to "), names.front()));
  }

  void check_used() const {
    std::vector<bool> used(layers_.size());
    for (const size_t output : wiring_.outputs) used[output] = true;
    for (auto layer = wiring_.order.rbegin(); layer != wiring_.order.rend(); ++layer)
      if (used[*layer])
        for (const Wiring::Source& source : wiring_.inputs[*layer])
          if (source.layer >= 0) used[static_cast<size_t>(source.layer)] = true;
    for (size_t i = 0; i < layers_.size(); ++i)
      if (!used[i])
        fail(i,
             fmt::format("nothing takes what '{}' gives; name it as the input of another layer, make it an "
                         "output, or leave it out",
                         wiring_.names[i]));
  }

  const std::vector<LayerSpec>& layers_;
  const std::vector<std::string>* columns_;
  const LayerPlaces& places_;
  std::vector<LayerPlace> layer_places_;
  Wiring wiring_;
};

}  // namespace

Wiring wiring_of(const std::vector<LayerSpec>& layers, const std::vector<std::string>& outputs,
                 const std::vector<std::string>* columns, const LayerPlaces& places) {
  if (layers.empty()) throw UserError("the model has no layers; it needs at least a dense layer");
  return WiringBuilder(layers, columns, places).build(outputs);
}

std::vector<Signal> build_layers(Graph& graph, const std::vector<LayerSpec>& layers, const Wiring& wiring,
                                 const std::map<std::string, Signal>& columns,
                                 const std::function<int64_t(size_t)>& outputs, Penalties& penalties) {
  std::vector<Signal> signals(layers.size());
  for (const size_t layer : wiring.order) {
    std::vector<Signal> inputs;
    for (const Wiring::Source& source : wiring.inputs[layer])
      inputs.push_back(source.layer < 0 ? columns.at(source.column)
                                        : signals[static_cast<size_t>(source.layer)]);
    const size_t owner = wiring.owners[layer];
    LayerContext context(graph, wiring.names[layer], outputs(layer), penalties, place_of(layers[owner]),
                         wiring.names[owner], inputs.size() > 1 ? nullptr : inputs.front().columns);
    const LayerKind& kind = layer_kind_of(layers[owner]);
    signals[layer] = inputs.size() > 1 ? kind.merge(context, inputs, layers[owner])
                                       : kind.build(context, inputs.front(), layers[owner]);
    context.check_place();
  }
  return signals;
}

int64_t frames_needed(const std::vector<LayerSpec>& layers, int64_t frames_left, const std::string& name) {
  // Whoever takes a layer's frames says how many that must leave.
  const std::vector<std::string> names = names_of(layers);
  const Wiring wiring = wiring_of(layers, names);
  std::vector<int64_t> left(layers.size(), 1);
  const auto named = std::find(names.begin(), names.end(), name);
  left[named == names.end() ? layers.size() - 1 : static_cast<size_t>(named - names.begin())] = frames_left;
  int64_t needed = 1;
  for (auto layer = wiring.order.rbegin(); layer != wiring.order.rend(); ++layer) {
    const LayerSpec& spec = layers[wiring.owners[*layer]];
    const int64_t frames = layer_kind_of(spec).frames_needed(spec, left[*layer]);
    for (const Wiring::Source& source : wiring.inputs[*layer]) {
      int64_t& most = source.layer < 0 ? needed : left[static_cast<size_t>(source.layer)];
      most = std::max(most, frames);
    }
  }
  return needed;
}

int64_t NeededFrames::of(const data::Example& example, const data::Targets& targets) {
  const int64_t left = targets.symbols ? frames_for(example.targets) : 1;
  const auto [place, is_new] = known_.try_emplace(left, 0);
  if (is_new) place->second = frames_needed(layers_, left, output_);
  return place->second;
}

std::string NeededFrames::text_of(const data::Example& example, const data::Targets& targets) {
  const std::string text = fmt::format("the model needs {}", of(example, targets));
  if (!targets.symbols || example.targets.empty()) return text;
  const auto symbols = static_cast<int64_t>(example.targets.size());
  const int64_t blanks = frames_for(example.targets) - symbols;
  return fmt::format(
      "{} for its {} symbol{}{}", text, symbols, symbols == 1 ? "" : "s",
      blanks == 0 ? "" : fmt::format(" and {} blank{} between equal ones", blanks, blanks == 1 ? "" : "s"));
}

}  // namespace lariat
