#pragma once

#include "frontends/sequential/layer.hpp"

namespace lariat {

/// The channels of a convolution in groups, and its filters in as many; a filter sees the channels of its own
/// group. Krizhevsky et al. (2012).
struct ChannelGroups {
  int64_t groups = 1;
  /// That one filter sees.
  int64_t channels = 0;

  /// Throws UserError naming the layer where the groups do not divide channels and filters.
  template <class Options>
  ChannelGroups(const LayerContext& context, const Options& options, int64_t all_channels)
      : ChannelGroups(context, options.groups, all_channels, options.filters,
                      options.kernel_penalty.group_inputs > 0) {}

  /// A kernel [taps…, channels, filters] as one over all channels, which is 0 where a filter sees nothing.
  Value over_all_channels(Value kernel) const;

 private:
  ChannelGroups(const LayerContext& context, int64_t groups, int64_t all_channels, int64_t filters,
                bool by_inputs);
};

inline constexpr const char* groups_doc =
    "channels and filters are in so many groups, and a filter sees the channels of its own; 0: each channel "
    "is a group (depthwise)";

/// Which ingoing channels a filter that is marked has a weight to, of a kernel [taps…, channels, filters].
ChannelMarks inputs_read_in_groups(const Tensor& kernel, const ChannelMarks& filters, int64_t inputs);

/// `units` where there is one group. Of several no channel can be left out: the others would be in groups of
/// other sizes.
template <class Options>
LayerUnits ungrouped_units(const Fields<Options>& fields, LayerUnits units) {
  const auto is_one = [fields](const LayerInModel& layer) { return fields.read(layer.spec).groups == 1; };
  LayerUnits result = units;
  result.constants = [=](const LayerInModel& layer, const ChannelConstants& inputs) {
    if (is_one(layer)) return units.constants(layer, inputs);
    // Filters without weights, whatever comes in.
    const Extents extents = layer.weight("kernel").extents();
    return units.constants(layer, ChannelConstants(static_cast<size_t>(extents[extents.size() - 2])));
  };
  result.reads = [=](const LayerInModel& layer, const ChannelMarks& outputs) {
    return is_one(layer) ? units.reads(layer, outputs)
                         : inputs_read_in_groups(layer.weight("kernel"), outputs, layer.input.back().size());
  };
  result.why_fixed = [=](const LayerInModel& layer, bool) {
    return std::string(is_one(layer) ? "" : "its channels are in groups, which are of one size");
  };
  return result;
}

}  // namespace lariat
