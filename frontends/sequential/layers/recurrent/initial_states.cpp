#include <fmt/format.h>

#include <algorithm>

#include "frontends/data/option_table.hpp"
#include "frontends/sequential/layer.hpp"
#include "frontends/sequential/layers/limits.hpp"
#include "frontends/sequential/wiring.hpp"
#include "ops/ops.hpp"

// What the states of recurrent layers begin with, where that is not zero.

namespace lariat {

namespace {

std::string other_size(const std::string& from, int64_t values, const std::string& state, int64_t units) {
  return fmt::format(
      "initial_state = {}: has {} value{}, but its state {} has {}; give both layers as many units, or put a "
      "dense layer of {} units between them",
      from, values, values == 1 ? "" : "s", state, units, units);
}

// The size of each state of a recurrent layer.
int64_t units_of(const LayerSpec& layer) {
  return data::parse_integer({"units", {}, {}, {}, {}}, layer.at("units"), 1, most_units);
}

}  // namespace

std::vector<Value> LayerContext::initial_states(const std::vector<std::string>& names, int64_t units) const {
  std::vector<Value> states;
  for (size_t i = 0; i < given_states.initial.size(); ++i) {
    const auto& [from, signal] = given_states.initial[i];
    const Shape& shape = signal.value.shape();
    // Of a column that has a value for each frame.
    const bool first = signal.is_sequence() && signal.columns && shape.size() == 3;
    if (!first && (signal.is_sequence() || shape.size() != 2))
      fail(
          fmt::format("initial_state = {}: is {}, but its state {} is one vector for each example; put "
                      "last_step or global_average_pool behind it, or take the state that a layer ends with",
                      from, text(shape), names[i]));
    if (!(shape.back() == Dim(units))) fail(other_size(from, signal.channels(), names[i], units));
    if (!first) {
      states.push_back(signal.value);
      continue;
    }
    const Value step = broadcast_to(graph.constant(0, i32), {shape[0], 1, shape[2]});
    states.push_back(reshape(gather_steps(signal.value, step), {shape[0], shape[2]}));
  }
  return states;
}

void check_initial_sizes(const std::vector<LayerSpec>& layers, const Wiring& wiring,
                         const std::function<void(size_t layer, const std::string& message)>& fail) {
  if (std::all_of(wiring.initial.begin(), wiring.initial.end(),
                  [](const std::vector<Wiring::Source>& sources) { return sources.empty(); }))
    return;
  // Of each layer, how many channels come out; 0 where its data alone say it.
  std::vector<int64_t> counts(layers.size());
  const auto spec_of = [&](size_t layer) -> const LayerSpec& { return layers[wiring.owners[layer]]; };
  const auto count_of = [&](const Wiring::Source& source) {
    const auto layer = static_cast<size_t>(source.layer);
    return source.layer < 0 ? 0 : source.state.empty() ? counts[layer] : units_of(spec_of(layer));
  };
  for (const size_t layer : wiring.order) {
    const LayerKind& kind = layer_kind_of(spec_of(layer));
    for (size_t i = 0; i < wiring.initial[layer].size(); ++i) {
      const Wiring::Source& source = wiring.initial[layer][i];
      const int64_t count = count_of(source), units = units_of(spec_of(layer));
      if (count != 0 && count != units)
        fail(layer, other_size(wiring.name_of(source), count, kind.states[i], units));
    }
    const std::vector<Wiring::Source>& inputs = wiring.inputs[layer];
    if (kind.units.count) counts[layer] = kind.units.count(spec_of(layer), count_of(inputs.front()));
  }
}

}  // namespace lariat
