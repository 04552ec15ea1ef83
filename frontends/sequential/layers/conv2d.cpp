#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/channel_groups.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "frontends/sequential/layers/windows.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct Conv2dFields : Conv2dOptions {
  int64_t filters = 0, kernel_height = 0, kernel_width = 0;
  ActivationFunction activation = {};
};

const Fields<Conv2dFields>& conv2d_fields() {
  static const Fields<Conv2dFields> list =
      Fields<Conv2dFields>()
          .integer("filters", &Conv2dFields::filters, 1, most_units, "channels of the output")
          .integer("kernel_height", &Conv2dFields::kernel_height, 1, most_frames,
                   "rows that one output pixel sees; frames, of a sequence")
          .integer("kernel_width", &Conv2dFields::kernel_width, 1, most_frames,
                   "columns that one output pixel sees")
          .integer("stride_height", &Conv2dFields::stride_height, 1, most_frames,
                   "rows from one output row to the next")
          .integer("stride_width", &Conv2dFields::stride_width, 1, most_frames,
                   "columns from one output column to the next")
          .choice("padding", &Conv2dFields::padding, padding_names(), padding_doc)
          .integer("dilation_height", &Conv2dFields::dilation_height, 1, most_frames,
                   "rows from one that a window sees to the next")
          .integer("dilation_width", &Conv2dFields::dilation_width, 1, most_frames,
                   "columns from one that a window sees to the next")
          .integer("groups", &Conv2dFields::groups, 0, most_units, groups_doc)
          .choice("activation", &Conv2dFields::activation, activation_names(),
                  "function applied to the output")
          .boolean("use_bias", &Conv2dFields::use_bias, "add a bias")
          .parsed("kernel_penalty", &Conv2dFields::kernel_penalty, weight_penalty_range,
                  "penalties of the kernel", to_text, parse_weight_penalty)
          .parsed("bias_penalty", &Conv2dFields::bias_penalty, weight_penalty_range, "penalties of the bias",
                  to_text, parse_weight_penalty);
  return list;
}

SequenceWindow rows_of(const Conv2dFields& options) {
  return {options.dilation_height * (options.kernel_height - 1) + 1, options.stride_height, options.padding};
}

Signal build_conv2d(LayerContext& context, const Signal& input, const Conv2dFields& options) {
  const Signal images = context.images(input);
  const ChannelGroups groups(context, options, images.channels());
  const Value kernel = context.parameter(
      "kernel", {options.kernel_height, options.kernel_width, groups.channels, options.filters},
      init::glorot_uniform(), options.kernel_penalty);
  Value y =
      conv2d(masked(images), groups.over_all_channels(kernel), {options.stride_height, options.stride_width},
             padding_names().at(static_cast<size_t>(options.padding)),
             {options.dilation_height, options.dilation_width});
  if (options.use_bias)
    y = y + context.parameter("bias", {options.filters}, init::zeros(), options.bias_penalty);
  return {options.activation(y), images.is_sequence() ? rows_of(options).lengths(images.lengths) : Value()};
}

}  // namespace

LayerKind layer_records::conv2d() {
  LayerUnits units =
      kernel_units<Conv2dFields>(conv2d_fields(), &Conv2dFields::filters,
                                 [](const LayerInModel&, const Conv2dFields& options, float value) {
                                   return beside_padding(options.padding, value);
                                 });
  return layer_kind(
             "conv2d", "convolution over height and width of images, or time and channels of sequences",
             conv2d_fields(), build_conv2d,
             +[](const Conv2dFields& options, int64_t frames) {
               return rows_of(options).frames_needed(frames);
             })
      .with(of_images(ungrouped_units(conv2d_fields(), std::move(units)),
                      "it convolves over the channels of sequences"));
}

Conv2d::Conv2d(int64_t filters, int64_t kernel_height, int64_t kernel_width, ActivationFunction activation,
               const Conv2dOptions& options)
    : LayerSpec(
          conv2d_fields().write("conv2d", {options, filters, kernel_height, kernel_width, activation})) {}

}  // namespace lariat
