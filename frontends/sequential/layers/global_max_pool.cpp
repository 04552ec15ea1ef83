#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct GlobalMaxPoolFields {};

Signal build_global_max_pool(LayerContext& context, const Signal& input, const GlobalMaxPoolFields&) {
  if (is_image(input)) return {reduce_max(input.value, {1, 2})};
  context.need_sequence(input);
  const Value largest = masked_max_time(input.value, input.lengths);
  // Of no frames it is 0, as the mean is, rather than infinite.
  const Value some = reshape(cast(greater(input.lengths, 0), largest.dtype()), {largest.shape()[0], 1});
  return {where(some, largest, 0)};
}

}  // namespace

LayerKind layer_records::global_max_pool() {
  return layer_kind("global_max_pool",
                    "the largest values among the frames of a sequence, or the pixels of images",
                    Fields<GlobalMaxPoolFields>(), build_global_max_pool)
      .with(channelwise());
}

GlobalMaxPool::GlobalMaxPool() : LayerSpec{"global_max_pool", {}} {}

}  // namespace lariat
