#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/records.hpp"
#include "frontends/sequential/layers/windows.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct Options : Conv1dOptions {
  int64_t filters = 0, kernel = 0;
  ActivationFunction activation = {};
};

const Fields<Options>& fields() {
  static const Fields<Options> list =
      Fields<Options>()
          .integer("filters", &Options::filters, 1, most_units, "channels of the output")
          .integer("kernel", &Options::kernel, 1, most_frames, "frames that one output frame sees")
          .integer("stride", &Options::stride, 1, most_frames, "frames from one output frame to the next")
          .choice("padding", &Options::padding, padding_names(), padding_doc)
          .choice("activation", &Options::activation, activation_names(), "function applied to the output")
          .boolean("use_bias", &Options::use_bias, "add a bias")
          .parsed("kernel_penalty", &Options::kernel_penalty, weight_penalty_range, "penalties of the kernel",
                  to_text, parse_weight_penalty)
          .parsed("bias_penalty", &Options::bias_penalty, weight_penalty_range, "penalties of the bias",
                  to_text, parse_weight_penalty);
  return list;
}

SequenceWindow window_of(const Options& options) { return {options.kernel, options.stride, options.padding}; }

Signal build(LayerContext& context, const Signal& input, const Options& options) {
  context.need_sequence(input);
  const SequenceWindow window = window_of(options);
  const Value kernel = context.parameter("kernel", {options.kernel, input.channels(), options.filters},
                                         init::glorot_uniform(), options.kernel_penalty);
  Value y =
      conv1d(masked(input), kernel, options.stride, padding_names().at(static_cast<size_t>(options.padding)));
  if (options.use_bias)
    y = y + context.parameter("bias", {options.filters}, init::zeros(), options.bias_penalty);
  return {options.activation(y), window.lengths(input.lengths)};
}

}  // namespace

LayerKind layer_records::conv1d() {
  return layer_kind(
      "conv1d", "convolution over the time of sequences", fields(), build,
      +[](const Options& options, int64_t frames) { return window_of(options).frames_needed(frames); });
}

Conv1d::Conv1d(int64_t filters, int64_t kernel, ActivationFunction activation, const Conv1dOptions& options)
    : LayerSpec(fields().write("conv1d", {options, filters, kernel, activation})) {}

}  // namespace lariat
