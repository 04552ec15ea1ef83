#pragma once

#include "frontends/sequential/layers/recurrent/recurrent.hpp"
#include "frontends/sequential/layers/units.hpp"

namespace lariat {

/// How the weights of a recurrent layer are arranged: kernel [channels, gates·units], recurrent_kernel
/// [units, gates·units] and bias [gates·units], where a unit stays 0 for as long as its candidate, the gate
/// of that number, is.
struct RecurrentLayout {
  int gates = 1, candidate = 0;
  /// A bias of the candidate's recurrent part, [units], where the layer has one.
  std::string candidate_bias = {};
  /// Of the parameters, in the order of their outputs.
  std::vector<std::string> prefixes = {""};
};

/// A unit goes with the columns of all its gates, its rows, and its place in what follows. A unit is needed
/// where it, or another one that is needed, is read; it is always 0 where its candidate has no weight and no
/// bias. `with_units` gives the options of a layer of so many units.
LayerUnits recurrent_units(const RecurrentLayout& layout,
                           std::function<Spec(const LayerSpec&, int64_t)> with_units);
/// The same for a kind whose options have `units`.
template <class Options>
LayerUnits recurrent_units(const RecurrentLayout& layout, const Fields<Options>& fields) {
  LayerUnits result = recurrent_units(layout, [fields](const LayerSpec& spec, int64_t units) {
    Options options = fields.read(spec);
    options.units = units;
    return fields.write(spec.kind, options);
  });
  const auto directions = static_cast<int64_t>(layout.prefixes.size());
  result.count = [fields, directions](const LayerSpec& spec, int64_t) {
    return directions * fields.read(spec).units;
  };
  return result;
}

}  // namespace lariat
