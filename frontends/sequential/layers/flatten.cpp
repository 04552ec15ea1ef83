#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct FlattenFields {};

Signal build_flatten(LayerContext& context, const Signal& input, const FlattenFields&) {
  const Shape& shape = input.value.shape();
  if (input.is_sequence() && shape.size() == 4)
    return {reshape(input.value, {shape[0], shape[1], shape[2] * shape[3]}), input.lengths};
  if (input.is_sequence())
    context.fail(
        "sequences have no fixed length to flatten; use global_average_pool, global_max_pool or last_step");
  return {reshape(input.value, {shape[0], -1})};
}

}  // namespace

LayerKind layer_records::flatten() {
  return layer_kind("flatten",
                    "all dimensions but the batch as one; of sequences that are images, width and channels",
                    Fields<FlattenFields>(), build_flatten)
      .with(repeated_channels());
}

Flatten::Flatten() : LayerSpec{"flatten", {}} {}

}  // namespace lariat
