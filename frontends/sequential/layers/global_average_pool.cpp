#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct Options {};

Signal build(LayerContext& context, const Signal& input, const Options&) {
  context.need_sequence(input);
  return {masked_mean_time(input.value, input.lengths)};
}

}  // namespace

LayerKind layer_records::global_average_pool() {
  return layer_kind("global_average_pool", "the mean over the frames of a sequence", Fields<Options>(),
                    build);
}

GlobalAveragePool::GlobalAveragePool() : LayerSpec{"global_average_pool", {}} {}

}  // namespace lariat
