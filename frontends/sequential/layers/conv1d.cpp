#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/channel_groups.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "frontends/sequential/layers/windows.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct Conv1dFields : Conv1dOptions {
  int64_t filters = 0, kernel = 0;
  ActivationFunction activation = {};
};

const std::vector<std::string>& conv1d_padding_names() {
  static const std::vector<std::string> names = {"same", "valid", "causal"};
  return names;
}

const Fields<Conv1dFields>& conv1d_fields() {
  static const Fields<Conv1dFields> list =
      Fields<Conv1dFields>()
          .integer("filters", &Conv1dFields::filters, 1, most_units, "channels of the output")
          .integer("kernel", &Conv1dFields::kernel, 1, most_frames, "frames that one output frame sees")
          .integer("stride", &Conv1dFields::stride, 1, most_frames,
                   "frames from one output frame to the next")
          .choice("padding", &Conv1dFields::padding, conv1d_padding_names(),
                  std::string(padding_doc) + "; causal: a window that ends at every stride-th frame")
          .integer("dilation", &Conv1dFields::dilation, 1, most_frames,
                   "frames from one that a window sees to the next")
          .integer("groups", &Conv1dFields::groups, 0, most_units, groups_doc)
          .choice("activation", &Conv1dFields::activation, activation_names(),
                  "function applied to the output")
          .boolean("use_bias", &Conv1dFields::use_bias, "add a bias")
          .parsed("kernel_penalty", &Conv1dFields::kernel_penalty, weight_penalty_range,
                  "penalties of the kernel", to_text, parse_weight_penalty)
          .parsed("bias_penalty", &Conv1dFields::bias_penalty, weight_penalty_range, "penalties of the bias",
                  to_text, parse_weight_penalty);
  return list;
}

SequenceWindow window_of(const Conv1dFields& options) {
  return {options.dilation * (options.kernel - 1) + 1, options.stride, options.padding};
}

Signal build_conv1d(LayerContext& context, const Signal& input, const Conv1dFields& options) {
  context.need_sequence(input);
  const SequenceWindow window = window_of(options);
  const ChannelGroups groups(context, options, input.channels());
  const Value kernel = context.parameter("kernel", {options.kernel, groups.channels, options.filters},
                                         init::glorot_uniform(), options.kernel_penalty);
  Value y = conv1d(masked(input), groups.over_all_channels(kernel), options.stride,
                   conv1d_padding_names().at(static_cast<size_t>(options.padding)), options.dilation);
  if (options.use_bias)
    y = y + context.parameter("bias", {options.filters}, init::zeros(), options.bias_penalty);
  return {options.activation(y), window.lengths(input.lengths)};
}

}  // namespace

LayerKind layer_records::conv1d() {
  return layer_kind(
             "conv1d", "convolution over the time of sequences", conv1d_fields(), build_conv1d,
             +[](const Conv1dFields& options, int64_t frames) {
               return window_of(options).frames_needed(frames);
             })
      .with(ungrouped_units(
          conv1d_fields(),
          kernel_units<Conv1dFields>(conv1d_fields(), &Conv1dFields::filters,
                                     [](const LayerInModel&, const Conv1dFields& options, float value) {
                                       return beside_padding(options.padding, value);
                                     })));
}

Conv1d::Conv1d(int64_t filters, int64_t kernel, ActivationFunction activation, const Conv1dOptions& options)
    : LayerSpec(conv1d_fields().write("conv1d", {options, filters, kernel, activation})) {}

}  // namespace lariat
