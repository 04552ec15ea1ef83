#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct LastStepFields {};

Signal build_last_step(LayerContext& context, const Signal& input, const LastStepFields&) {
  context.need_sequence(input);
  return {lariat::last_step(input.value, input.lengths)};
}

}  // namespace

LayerKind layer_records::last_step() {
  return layer_kind("last_step", "the last frame of a sequence", Fields<LastStepFields>(), build_last_step)
      .with(channelwise());
}

LastStep::LastStep() : LayerSpec{"last_step", {}} {}

}  // namespace lariat
