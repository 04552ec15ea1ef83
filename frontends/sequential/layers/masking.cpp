#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct MaskingFields {
  double value = 0;
};

const Fields<MaskingFields>& masking_fields() {
  static const Fields<MaskingFields> list = Fields<MaskingFields>().number(
      "value", &MaskingFields::value, -1e30, 1e30, "what all channels of a frame that is left out are");
  return list;
}

// The frames behind the last one that holds anything else are as many as stand before the first such one of
// the sequence turned round.
Signal build_masking(LayerContext& context, const Signal& input, const MaskingFields& options) {
  context.need_sequence(input);
  const Shape& shape = input.value.shape();
  const Value other = 1 - equal(input.value, options.value);
  const Value holds = where(frame_mask(input), reduce_max(other, {-1}, true), 0);
  const Value turned = reshape(reverse_sequence(holds, input.lengths), {shape[0], shape[1]});
  const Value behind = argmax(turned), any = cast(reduce_max(turned, {1}), i32);
  const Value lengths = any * (input.lengths - behind) + (1 - any);
  return {input.value, lengths, input.columns};
}

}  // namespace

LayerKind layer_records::masking() {
  return layer_kind("masking", "ends each sequence behind its last frame that holds anything but a value",
                    masking_fields(), build_masking)
      .with(joined_channels("it looks for frames all of whose channels are one value"));
}

Masking::Masking(double value) : LayerSpec(masking_fields().write("masking", {value})) {}

}  // namespace lariat
