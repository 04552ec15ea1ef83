#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/records.hpp"
#include "frontends/sequential/layers/windows.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct Options : Conv2dOptions {
  int64_t filters = 0, kernel_height = 0, kernel_width = 0;
  ActivationFunction activation = {};
};

const Fields<Options>& fields() {
  static const Fields<Options> list =
      Fields<Options>()
          .integer("filters", &Options::filters, 1, most_units, "channels of the output")
          .integer("kernel_height", &Options::kernel_height, 1, most_frames,
                   "rows that one output pixel sees; frames, of a sequence")
          .integer("kernel_width", &Options::kernel_width, 1, most_frames,
                   "columns that one output pixel sees")
          .integer("stride_height", &Options::stride_height, 1, most_frames,
                   "rows from one output row to the next")
          .integer("stride_width", &Options::stride_width, 1, most_frames,
                   "columns from one output column to the next")
          .choice("padding", &Options::padding, padding_names(), padding_doc)
          .choice("activation", &Options::activation, activation_names(), "function applied to the output")
          .boolean("use_bias", &Options::use_bias, "add a bias")
          .parsed("kernel_penalty", &Options::kernel_penalty, weight_penalty_range, "penalties of the kernel",
                  to_text, parse_weight_penalty)
          .parsed("bias_penalty", &Options::bias_penalty, weight_penalty_range, "penalties of the bias",
                  to_text, parse_weight_penalty);
  return list;
}

SequenceWindow rows_of(const Options& options) {
  return {options.kernel_height, options.stride_height, options.padding};
}

Signal build(LayerContext& context, const Signal& input, const Options& options) {
  const Signal images = context.images(input);
  const Value kernel = context.parameter(
      "kernel", {options.kernel_height, options.kernel_width, images.channels(), options.filters},
      init::glorot_uniform(), options.kernel_penalty);
  Value y = conv2d(masked(images), kernel, {options.stride_height, options.stride_width},
                   padding_names().at(static_cast<size_t>(options.padding)));
  if (options.use_bias)
    y = y + context.parameter("bias", {options.filters}, init::zeros(), options.bias_penalty);
  return {options.activation(y), images.is_sequence() ? rows_of(options).lengths(images.lengths) : Value()};
}

}  // namespace

LayerKind layer_records::conv2d() {
  return layer_kind(
      "conv2d", "convolution over height and width of images, or time and channels of sequences", fields(),
      build, +[](const Options& options, int64_t frames) { return rows_of(options).frames_needed(frames); });
}

Conv2d::Conv2d(int64_t filters, int64_t kernel_height, int64_t kernel_width, ActivationFunction activation,
               const Conv2dOptions& options)
    : LayerSpec(fields().write("conv2d", {options, filters, kernel_height, kernel_width, activation})) {}

}  // namespace lariat
