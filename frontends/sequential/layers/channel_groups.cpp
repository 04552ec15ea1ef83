#include "frontends/sequential/layers/channel_groups.hpp"

#include <fmt/format.h>

#include "frontends/sequential/layers/units.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

ChannelGroups::ChannelGroups(const LayerContext& context, int64_t given, int64_t all_channels,
                             int64_t filters, bool by_inputs)
    : groups(given == 0 ? all_channels : given) {
  if (groups == 1) {
    channels = all_channels;
    return;
  }
  if (all_channels % groups != 0)
    context.fail(fmt::format("groups = {}: must divide the {} channels that it takes", given, all_channels));
  if (filters % groups != 0)
    context.fail(given == 0 ? fmt::format("filters = {}: must be as many for each of the {} channels that it "
                                          "takes, for groups = 0; give it {}",
                                          filters, all_channels, all_channels)
                            : fmt::format("groups = {}: must divide the {} filters", given, filters));
  if (by_inputs)
    context.fail(
        fmt::format("group_inputs is for a kernel that has a row for each column of the data, and with "
                    "groups = {} it has none; give it group_rows",
                    given));
  channels = all_channels / groups;
}

ChannelMarks inputs_read_in_groups(const Tensor& kernel, const ChannelMarks& filters, int64_t inputs) {
  const ChannelKernel weights(kernel);
  const int64_t groups = inputs / weights.inputs, of_group = weights.outputs / groups;
  ChannelMarks read(static_cast<size_t>(inputs), false);
  for (int64_t tap = 0; tap < weights.taps; ++tap)
    for (int64_t channel = 0; channel < weights.inputs; ++channel)
      for (int64_t filter = 0; filter < weights.outputs; ++filter)
        if (filters[static_cast<size_t>(filter)] && weights.at(tap, channel, filter) != 0)
          read[static_cast<size_t>(filter / of_group * weights.inputs + channel)] = true;
  return read;
}

// One product over all channels: at inference its zeros cost nothing, in training as much as without groups.
Value ChannelGroups::over_all_channels(Value kernel) const {
  if (groups == 1) return kernel;
  const Shape shape = kernel.shape();
  const int64_t filters = shape.back().size(), all = groups * channels;
  int64_t taps = 1;
  for (size_t axis = 0; axis + 2 < shape.size(); ++axis) taps *= shape[axis].size();
  Tensor sees(f32, {all, filters});
  for (int64_t channel = 0; channel < all; ++channel)
    for (int64_t filter = 0; filter < filters; ++filter)
      sees.data<float>()[channel * filters + filter] =
          channel / channels == filter / (filters / groups) ? 1.0F : 0.0F;
  const Value copies =
      broadcast_to(reshape(kernel, {taps, 1, channels, filters}), {taps, groups, channels, filters});
  Shape whole = shape;
  whole[whole.size() - 2] = all;
  return reshape(copies, whole) * kernel.graph().constant(sees);
}

}  // namespace lariat
