#include "frontends/sequential/wiring.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "frontends/sequential/symbols.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat {

namespace {

// Whether a layer that shares another's weights and options has an option of its own.
bool is_own_option(std::string_view name) {
  return name == "name" || name == "input" || name == "shares" || name == "initial_state";
}

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
    for (size_t i = 0; i < layers_.size(); ++i) {
      add_inputs(i);
      add_initial(i);
    }
    for (size_t i = 0; i < layers_.size(); ++i) add_owner(i);
    add_outputs(outputs);
    add_order();
    check_used();
    check_initial_sizes(layers_, wiring_,
                        [&](size_t layer, const std::string& message) { fail(layer, message); });
    return std::move(wiring_);
  }

 private:
  [[noreturn]] void fail(size_t layer, const std::string& message) const {
    throw UserError((places_
                         ? places_(layer)
                         : layers_[layer].written.text + fmt::format("layer {}: ", wiring_.names[layer])) +
                    message);
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

  std::string listed(const std::vector<std::string>& states) const {
    return fmt::format("{}", fmt::join(states, states.size() == 2 ? " and " : ", "));
  }

  // "encoder.hidden", where there is a layer "encoder"; nothing where there is none.
  std::optional<Wiring::Source> state_of(const std::string& name,
                                         const std::function<void(const std::string&)>& refuse) const {
    const size_t dot = name.rfind('.');
    const int64_t found = dot == name.npos ? -1 : find(name.substr(0, dot));
    if (found < 0) return std::nullopt;
    const LayerSpec& layer = layers_[static_cast<size_t>(found)];
    const std::vector<std::string>& states = layer_kind_of(layer).states;
    const std::string of = name.substr(0, dot), state = name.substr(dot + 1);
    if (std::find(states.begin(), states.end(), state) != states.end())
      return Wiring::Source{found, "", state};
    if (columns_ == nullptr && states.empty()) return std::nullopt;  // a column may be called so
    refuse(states.empty()
               ? fmt::format("'{}' is a layer of the kind {}, which has no states; recurrent layers have", of,
                             layer.kind)
               : fmt::format("'{}' has no state '{}'.{}", of, data::shortened(state),
                             did_you_mean(state, states)));
    return std::nullopt;
  }

  Wiring::Source source_of(size_t layer, const std::string& option, const std::string& name) const {
    if (const int64_t found = find(name); found >= 0) return {found};
    const auto refuse = [&](const std::string& why) {
      fail(layer, fmt::format("{} = {}: {}", option, data::shortened(name), why));
    };
    if (columns_ != nullptr && is_column(name)) return {-1, name};
    if (const auto state = state_of(name, refuse)) return *state;
    if (is_column(name)) return {-1, name};
    std::vector<std::string> known = value_names(layers_);
    known.emplace_back(all_columns);
    known.insert(known.end(), columns_->begin(), columns_->end());
    refuse("there is no layer and no column of that name." + did_you_mean(name, known));
    return {};
  }

  // "hidden" of forward_hidden.
  static std::string role_of(const std::string& state) {
    const size_t last = state.rfind('_');
    return last == state.npos ? state : state.substr(last + 1);
  }

  void add_initial(size_t layer) {
    std::vector<Wiring::Source>& sources = wiring_.initial.emplace_back();
    const std::vector<std::string>& given = layer_places_[layer].initial_state;
    if (given.empty()) return;
    const std::string all = fmt::format("initial_state = {}: ", join_words(given));
    const LayerSpec& spec = layers_[layer];
    const std::vector<std::string>& states = layer_kind_of(spec).states;
    if (states.empty())
      fail(layer,
           all + fmt::format("{} has no state that begins with anything; recurrent layers have, so leave "
                             "it out",
                             spec.kind));
    if (given.size() != states.size())
      fail(layer, all + fmt::format("{} value{} for the {} state{} of {}; give one for each, {}",
                                    given.size(), given.size() == 1 ? "" : "s", states.size(),
                                    states.size() == 1 ? "" : "s", spec.kind, listed(states)));
    for (size_t i = 0; i < given.size(); ++i) {
      sources.push_back(source_of(layer, "initial_state", given[i]));
      const Wiring::Source& source = sources.back();
      if (source.state.empty() || role_of(source.state) == role_of(states[i])) continue;
      const std::string& from = wiring_.names[static_cast<size_t>(source.layer)];
      std::string instead;
      for (const std::string& other : layer_kind_of(layers_[static_cast<size_t>(source.layer)]).states)
        if (instead.empty() && role_of(other) == role_of(states[i])) instead = other;
      fail(layer, all + fmt::format("its state {} would begin with the {} of '{}'; {}", states[i],
                                    source.state, from,
                                    instead.empty() ? "a layer of the same kind has one"
                                                    : fmt::format("give it {}.{}", from, instead)));
    }
  }

  // What a layer waits for.
  std::vector<Wiring::Source> taken_by(size_t layer) const {
    std::vector<Wiring::Source> taken = wiring_.inputs[layer];
    taken.insert(taken.end(), wiring_.initial[layer].begin(), wiring_.initial[layer].end());
    return taken;
  }

  void add_inputs(size_t layer) {
    std::vector<Wiring::Source> sources;
    for (const std::string& name : layer_places_[layer].input)
      sources.push_back(source_of(layer, "input", name));
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
        const std::string& value = layers_[layer].at(option.name);
        if (!is_own_option(option.name) && value != option.default_value &&
            value != layers_[owner].at(option.name))
          fail(layer,
               fmt::format("{} = {}: has no effect, for '{}' has {}; a layer that shares has the options "
                           "of that layer, so leave it out",
                           option.name, value, wiring_.names[owner], layers_[owner].at(option.name)));
      }
    }
    wiring_.owners.push_back(owner);
  }

  void add_outputs(const std::vector<std::string>& outputs) {
    if (outputs.empty()) wiring_.outputs.push_back({static_cast<int64_t>(layers_.size()) - 1});
    for (const std::string& name : outputs) {
      Wiring::Source source{find(name)};
      if (source.layer < 0) {
        const auto state = state_of(name, [&](const std::string& why) {
          throw UserError(fmt::format("the output {}: {}", data::shortened(name), why));
        });
        if (!state)
          throw UserError(fmt::format("there is no layer '{}' to be an output.{}", data::shortened(name),
                                      did_you_mean(name, value_names(layers_))));
        source = *state;
      }
      if (std::find(wiring_.outputs.begin(), wiring_.outputs.end(), source) != wiring_.outputs.end())
        throw UserError(fmt::format("'{}' is an output twice; leave one out", name));
      wiring_.outputs.push_back(std::move(source));
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
        const std::vector<Wiring::Source> taken = taken_by(layer);
        const auto waiting = std::find_if(taken.begin(), taken.end(), [&](const Wiring::Source& source) {
          return source.layer >= 0 && state[static_cast<size_t>(source.layer)] != 2;
        });
        if (waiting == taken.end()) {
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
    for (const Wiring::Source& output : wiring_.outputs) used[static_cast<size_t>(output.layer)] = true;
    for (auto layer = wiring_.order.rbegin(); layer != wiring_.order.rend(); ++layer)
      if (used[*layer])
        for (const Wiring::Source& source : taken_by(*layer))
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

std::string Wiring::name_of(const Source& source) const {
  if (source.layer < 0) return source.column;
  const std::string& name = names[static_cast<size_t>(source.layer)];
  return source.state.empty() ? name : name + "." + source.state;
}

std::vector<std::string> value_names(const std::vector<LayerSpec>& layers) {
  const std::vector<std::string> names = names_of(layers);
  std::vector<std::string> result = names;
  for (size_t i = 0; i < layers.size(); ++i)
    for (const std::string& state : layer_kind_of(layers[i]).states) result.push_back(names[i] + "." + state);
  return result;
}

Signal taken_of(const Signal& signal, const Wiring::Source& source, const LayerSpec& layer) {
  if (source.state.empty()) return signal;
  const std::vector<std::string>& states = layer_kind_of(layer).states;
  const auto place =
      static_cast<size_t>(std::find(states.begin(), states.end(), source.state) - states.begin());
  require(place < signal.states.size(), "a layer gives the states that are taken of it");
  return {signal.states[place]};
}

Wiring wiring_of(const std::vector<LayerSpec>& layers, const std::vector<std::string>& outputs,
                 const std::vector<std::string>* columns, const LayerPlaces& places) {
  if (layers.empty()) throw UserError("the model has no layers; it needs at least a dense layer");
  return WiringBuilder(layers, columns, places).build(outputs);
}

std::vector<Signal> build_layers(Graph& graph, const std::vector<LayerSpec>& layers, const Wiring& wiring,
                                 const std::map<std::string, Signal>& columns,
                                 const std::function<int64_t(size_t)>& outputs, Penalties& penalties,
                                 size_t* built) {
  std::vector<Signal> signals(layers.size());
  const auto signal_of = [&](const Wiring::Source& source) {
    const auto from = static_cast<size_t>(source.layer);
    return source.layer < 0 ? columns.at(source.column) : taken_of(signals[from], source, layers[from]);
  };
  std::vector<bool> gives_states(layers.size());
  const auto note_states = [&](const std::vector<Wiring::Source>& sources) {
    for (const Wiring::Source& source : sources)
      if (!source.state.empty()) gives_states[static_cast<size_t>(source.layer)] = true;
  };
  note_states(wiring.outputs);
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    note_states(wiring.inputs[layer]);
    note_states(wiring.initial[layer]);
  }
  for (const size_t layer : wiring.order) {
    std::vector<Signal> inputs;
    for (const Wiring::Source& source : wiring.inputs[layer]) inputs.push_back(signal_of(source));
    const size_t owner = wiring.owners[layer];
    LayerContext context(graph, wiring.names[layer], outputs(layer), penalties, place_of(layers[owner]),
                         wiring.names[owner], inputs.size() > 1 ? nullptr : inputs.front().columns);
    context.given_states.taken = gives_states[layer];
    for (const Wiring::Source& source : wiring.initial[layer])
      context.given_states.initial.emplace_back(wiring.name_of(source), signal_of(source));
    const LayerKind& kind = layer_kind_of(layers[owner]);
    at_place(layers[layer].written.text, [&] {
      signals[layer] = inputs.size() > 1 ? kind.merge(context, inputs, layers[owner])
                                         : kind.build(context, inputs.front(), layers[owner]);
      context.check_place();
    });
    if (built != nullptr) ++*built;
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

namespace {

// With the options of the layer that it shares, of which it need not say any.
LayerSpec with_shared_options(const LayerSpec& layer, const std::vector<LayerSpec>& layers,
                              const std::vector<std::string>& names) {
  const LayerSpec* owner = &layer;
  for (size_t steps = 0; steps < layers.size() && !owner->at("shares").empty(); ++steps) {
    const auto found = std::find(names.begin(), names.end(), owner->at("shares"));
    if (found == names.end()) return layer;
    owner = &layers[static_cast<size_t>(found - names.begin())];
  }
  LayerSpec whole = *owner;
  for (auto& [name, value] : whole.options)
    if (is_own_option(name)) value = layer.at(name);
  return whole;
}

}  // namespace

std::string to_json(const std::vector<LayerSpec>& layers) {
  const std::vector<std::string> names = names_of(layers);
  std::string result;
  for (const LayerSpec& layer : layers)
    result += (result.empty() ? "" : ",") +
              layer_kind_of(layer).spec.to_json(with_shared_options(layer, layers, names));
  return "[" + result + "]";
}

std::vector<LayerSpec> layers_from_json(std::string_view json) {
  const auto array = parse_json(json);
  if (!array.is_array())
    throw UserError("the layers are not a JSON array such as [{\"kind\": \"dense\", \"units\": 10}]");
  std::vector<LayerSpec> layers;
  for (const auto& object : array)
    layers.push_back(
        spec_from_json(layer_spec_kinds(), object.dump(), fmt::format("layers.{}", layers.size())));
  return layers;
}

}  // namespace lariat
