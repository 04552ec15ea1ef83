#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct GlobalAveragePoolFields {};

Signal build_global_average_pool(LayerContext& context, const Signal& input, const GlobalAveragePoolFields&) {
  if (is_image(input)) return {mean(input.value, {1, 2})};
  context.need_sequence(input);
  return {masked_mean_time(input.value, input.lengths)};
}

}  // namespace

LayerKind layer_records::global_average_pool() {
  return layer_kind("global_average_pool", "the mean over the frames of a sequence, or the pixels of images",
                    Fields<GlobalAveragePoolFields>(), build_global_average_pool)
      .with(channelwise());
}

GlobalAveragePool::GlobalAveragePool() : LayerSpec{"global_average_pool", {}} {}

}  // namespace lariat
