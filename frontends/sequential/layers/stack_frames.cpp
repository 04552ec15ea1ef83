#include <algorithm>

#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/limits.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct StackFramesFields {
  int64_t frames = 2;
};

const Fields<StackFramesFields>& stack_frames_fields() {
  static const Fields<StackFramesFields> list = Fields<StackFramesFields>().integer(
      "frames", &StackFramesFields::frames, 1, most_frames, "neighbouring frames that become one");
  return list;
}

Signal build_stack_frames(LayerContext& context, const Signal& input, const StackFramesFields& options) {
  context.need_sequence(input);
  const int64_t n = options.frames;
  if (n == 1) return input;
  const Shape& shape = input.value.shape();
  const Dim steps = floor_divide(shape[1] + (n - 1), n);
  // Time becomes the next multiple of n: n - 1 frames of zeros behind, less those that fill no step.
  const Value filled = slice(pad(masked(input), 1, 0, n - 1), 1, 0, steps * n);
  return {reshape(filled, {shape[0], steps, input.channels() * n}), scaled_lengths(input.lengths, n - 1, n)};
}

}  // namespace

LayerKind layer_records::stack_frames() {
  // The last frame is filled up with zeros.
  return layer_kind(
             "stack_frames", "neighbouring frames as one frame of as many times the channels",
             stack_frames_fields(), build_stack_frames,
             +[](const StackFramesFields& options, int64_t frames) {
               return std::min(endless_frames, (frames - 1) * options.frames + 1);
             })
      .with(repeated_channels(
          [](const LayerInModel&, float x) { return x == 0 ? std::optional(x) : std::nullopt; }));
}

StackFrames::StackFrames(int64_t frames) : LayerSpec(stack_frames_fields().write("stack_frames", {frames})) {}

}  // namespace lariat
