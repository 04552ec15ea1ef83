#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers/pooling.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

Signal build_average_pool1d(LayerContext& context, const Signal& input, const PoolFields& options) {
  context.need_sequence(input);
  const SequenceWindow window = options.window();
  const Value lengths = window.lengths(input.lengths);
  if (window.padding == Padding::valid)
    return {average_pool1d(input.value, window.size, window.stride), lengths};
  const Value sums = average_pool1d(window.padded(masked(input)), window.size, window.stride);
  const Value share = average_pool1d(window.padded(frame_mask(input)), window.size, window.stride);
  // A window behind the end has no frame to take the mean of.
  return {sums / maximum(share, 1.0 / static_cast<double>(window.size)), lengths};
}

}  // namespace

LayerKind layer_records::average_pool1d() {
  return layer_kind("average_pool1d", "the mean of neighbouring frames, per channel", pool_fields(),
                    build_average_pool1d, frames_to_pool)
      .with(channelwise());
}

AveragePool1d::AveragePool1d(int64_t size, const PoolOptions& options)
    : LayerSpec(pool_fields().write("average_pool1d", {options, size})) {}

}  // namespace lariat
