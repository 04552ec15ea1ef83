#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct Options {};

Signal build(LayerContext& context, const Signal& input, const Options&) {
  context.need_sequence(input);
  return {lariat::last_step(input.value, input.lengths)};
}

}  // namespace

LayerKind layer_records::last_step() {
  return layer_kind("last_step", "the last frame of a sequence", Fields<Options>(), build);
}

LastStep::LastStep() : LayerSpec{"last_step", {}} {}

}  // namespace lariat
