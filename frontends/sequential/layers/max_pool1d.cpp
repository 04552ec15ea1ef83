#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers/pooling.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

Signal build_max_pool1d(LayerContext& context, const Signal& input, const PoolFields& options) {
  context.need_sequence(input);
  const SequenceWindow window = options.window();
  Value x = input.value;
  if (window.padding == Padding::same) {
    x = where(window.padded(frame_mask(input)), window.padded(x), lowest);
  }
  const Signal pooled{max_pool1d(x, window.size, window.stride), window.lengths(input.lengths)};
  return {masked(pooled), pooled.lengths};
}

}  // namespace

LayerKind layer_records::max_pool1d() {
  return layer_kind("max_pool1d", "the largest of neighbouring frames, per channel", pool_fields(),
                    build_max_pool1d, frames_to_pool)
      .with(channelwise());
}

MaxPool1d::MaxPool1d(int64_t size, const PoolOptions& options)
    : LayerSpec(pool_fields().write("max_pool1d", {options, size})) {}

}  // namespace lariat
