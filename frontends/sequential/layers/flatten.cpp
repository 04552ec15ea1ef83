#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct Options {};

Signal build(LayerContext& context, const Signal& input, const Options&) {
  if (input.is_sequence())
    context.fail(
        "sequences have no fixed length to flatten; use global_average_pool, global_max_pool or last_step");
  const Shape& shape = input.value.shape();
  return {reshape(input.value, {shape[0], -1})};
}

}  // namespace

LayerKind layer_records::flatten() {
  return layer_kind("flatten", "all dimensions but the batch as one", Fields<Options>(), build);
}

Flatten::Flatten() : LayerSpec{"flatten", {}} {}

}  // namespace lariat
