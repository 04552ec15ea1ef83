#include "frontends/sequential/layers/recurrent/recurrent_units.hpp"

#include <algorithm>

namespace lariat {

namespace {

// One direction of a recurrent layer.
struct Direction {
  const LayerInModel& layer;
  const RecurrentLayout& layout;
  const std::string& prefix;
  ChannelKernel kernel{layer.weight(prefix + "kernel")}, recurrent{layer.weight(prefix + "recurrent_kernel")};
  Tensor bias = layer.weight(prefix + "bias");
  std::string own_bias =
      layout.candidate_bias.empty() || !layer.weights.find(layer.name + "/" + prefix + layout.candidate_bias)
          ? ""
          : prefix + layout.candidate_bias;

  int64_t units() const { return recurrent.inputs; }
  int64_t column(int gate, int64_t unit) const { return gate * units() + unit; }

  // All columns of these units.
  ChannelMarks columns_of(const ChannelMarks& marked) const {
    ChannelMarks columns;
    for (int gate = 0; gate < layout.gates; ++gate)
      columns.insert(columns.end(), marked.begin(), marked.end());
    return columns;
  }

  // Every unit that one of them needs, by way of others too.
  ChannelMarks closed(ChannelMarks needed) const {
    for (size_t before = 0, count = 1; before != count;) {
      before = static_cast<size_t>(std::count(needed.begin(), needed.end(), true));
      const ChannelMarks more = inputs_read(recurrent, columns_of(needed));
      for (size_t unit = 0; unit < needed.size(); ++unit) needed[unit] = needed[unit] || more[unit];
      count = static_cast<size_t>(std::count(needed.begin(), needed.end(), true));
    }
    return needed;
  }

  // The units that stay 0 from frame to frame: whatever could move their candidate is always 0.
  ChannelConstants constants(const ChannelConstants& inputs) const {
    ChannelMarks zero(static_cast<size_t>(units()), true);
    if (!own_bias.empty()) {
      const Tensor more = layer.weight(own_bias);
      for (size_t unit = 0; unit < zero.size(); ++unit) zero[unit] = more.data<float>()[unit] == 0;
    }
    const auto moves = [&](int64_t unit) {
      const int64_t at = column(layout.candidate, unit);
      if (bias.data<float>()[at] != 0) return true;
      for (int64_t input = 0; input < kernel.inputs; ++input)
        if (inputs[static_cast<size_t>(input)] != 0.0f && kernel.at(0, input, at) != 0) return true;
      for (int64_t other = 0; other < units(); ++other)
        if (!zero[static_cast<size_t>(other)] && recurrent.at(0, other, at) != 0) return true;
      return false;
    };
    for (bool changed = true; changed;) {
      changed = false;
      for (int64_t unit = 0; unit < units(); ++unit)
        if (zero[static_cast<size_t>(unit)] && moves(unit)) {
          zero[static_cast<size_t>(unit)] = false;
          changed = true;
        }
    }
    ChannelConstants result(zero.size());
    for (size_t unit = 0; unit < zero.size(); ++unit)
      if (zero[unit]) result[unit] = 0.0f;
    return result;
  }

  void keep(const std::vector<int64_t>& kept) const {
    std::vector<int64_t> columns;
    for (int gate = 0; gate < layout.gates; ++gate)
      for (const int64_t unit : kept) columns.push_back(column(gate, unit));
    layer.keep(prefix + "recurrent_kernel", 0, kept);
    for (const char* what : {"kernel", "recurrent_kernel", "bias"}) layer.keep(prefix + what, -1, columns);
    if (!own_bias.empty()) layer.keep(own_bias, -1, kept);
  }
};

// Calls `take` with each direction and the first of its outputs.
template <class Take>
void each_direction(const LayerInModel& layer, const RecurrentLayout& layout, Take&& take) {
  int64_t first = 0;
  for (const std::string& prefix : layout.prefixes) {
    const Direction direction{layer, layout, prefix};
    const int64_t units = direction.units();
    take(direction, first);
    first += units;
  }
}

ChannelMarks part_of(const ChannelMarks& marks, int64_t first, int64_t count) {
  return ChannelMarks(marks.begin() + first, marks.begin() + first + count);
}

}  // namespace

LayerUnits recurrent_units(const RecurrentLayout& layout,
                           std::function<Spec(const LayerSpec&, int64_t)> with_units) {
  LayerUnits units;
  units.constants = [layout](const LayerInModel& layer, const ChannelConstants& inputs) {
    ChannelConstants outputs;
    each_direction(layer, layout, [&](const Direction& direction, int64_t) {
      const ChannelConstants own = direction.constants(inputs);
      outputs.insert(outputs.end(), own.begin(), own.end());
    });
    return outputs;
  };
  units.needs = [layout](const LayerInModel& layer, const ChannelMarks& read) {
    ChannelMarks needed;
    each_direction(layer, layout, [&](const Direction& direction, int64_t first) {
      const ChannelMarks own = direction.closed(part_of(read, first, direction.units()));
      needed.insert(needed.end(), own.begin(), own.end());
    });
    return needed;
  };
  units.reads = [layout](const LayerInModel& layer, const ChannelMarks& outputs) {
    ChannelMarks read(static_cast<size_t>(layer.input.back().size()), false);
    each_direction(layer, layout, [&](const Direction& direction, int64_t first) {
      const ChannelMarks own = part_of(outputs, first, direction.units());
      const ChannelMarks more = inputs_read(direction.kernel, direction.columns_of(own));
      for (size_t input = 0; input < read.size(); ++input) read[input] = read[input] || more[input];
    });
    return read;
  };
  units.why_reads = [](const LayerInModel&, float) { return std::string(); };
  units.keep_inputs = [layout](const LayerInModel& layer, const std::vector<int64_t>& kept,
                               const ChannelConstants& inputs) {
    for (const std::string& prefix : layout.prefixes) {
      fold_into_bias(layer, prefix + "kernel", prefix + "bias", kept, inputs);
      layer.keep(prefix + "kernel", 0, kept);
    }
  };
  units.why_fixed = [](const LayerInModel& layer, bool outgoing) {
    const bool stateful = outgoing && layer.spec.at("stateful") != "0";
    return std::string(stateful ? "its states go on from batch to batch, each in its place" : "");
  };
  // As many of each direction.
  units.together = [layout](const LayerInModel&, const ChannelMarks& gone) {
    const auto directions = static_cast<int64_t>(layout.prefixes.size());
    const auto count = static_cast<int64_t>(gone.size()) / directions;
    int64_t fewest = count;
    for (int64_t d = 0; d < directions; ++d)
      fewest = std::min<int64_t>(fewest,
                                 std::count(gone.begin() + d * count, gone.begin() + (d + 1) * count, true));
    ChannelMarks result = gone;
    for (int64_t d = 0; d < directions; ++d) {
      int64_t left = fewest;
      for (int64_t unit = d * count; unit < (d + 1) * count; ++unit)
        if (result[static_cast<size_t>(unit)] && left-- <= 0) result[static_cast<size_t>(unit)] = false;
    }
    return result;
  };
  units.keep_outputs = [layout, with_units = std::move(with_units)](const LayerInModel& layer,
                                                                    const std::vector<int64_t>& kept) {
    each_direction(layer, layout, [&](const Direction& direction, int64_t first) {
      std::vector<int64_t> own;
      for (const int64_t output : kept)
        if (output >= first && output < first + direction.units()) own.push_back(output - first);
      direction.keep(own);
    });
    layer.set_options(with_units(layer.spec, static_cast<int64_t>(kept.size() / layout.prefixes.size())));
  };
  units.multiply_adds = [layout](const LayerInModel& layer) {
    double products = 0;
    for (const std::string& prefix : layout.prefixes)
      products += products_of(layer, {prefix + "kernel", prefix + "recurrent_kernel"});
    return products * places_of(layer.input);
  };
  return units;
}

}  // namespace lariat
