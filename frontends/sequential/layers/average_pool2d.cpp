#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers/pooling.hpp"
#include "frontends/sequential/layers/units.hpp"

namespace lariat {

namespace {

Signal build_average_pool2d(LayerContext& context, const Signal& input, const Pool2dFields& options) {
  const Signal images = context.images(input);
  const Value lengths = images.is_sequence() ? options.rows().lengths(images.lengths) : Value();
  if (options.padding == Padding::valid)
    return {average_pool2d(images.value, options.size(), options.stride()), lengths};
  const Value sums = average_pool2d(options.padded(masked(images)), options.size(), options.stride());
  const SequenceWindow down = options.rows(), across = options.columns();
  const Value rows = average_pool2d(down.padded(row_mask(images)), {down.size, 1}, {down.stride, 1}),
              columns =
                  average_pool2d(across.padded(column_mask(images), 2), {1, across.size}, {1, across.stride});
  // A window behind the end has no frame to take the mean of.
  return {sums / (maximum(rows, 1.0 / static_cast<double>(down.size)) * columns), lengths};
}

}  // namespace

LayerKind layer_records::average_pool2d() {
  return layer_kind("average_pool2d", "the mean of neighbouring pixels, per channel", pool2d_fields(),
                    build_average_pool2d, frames_to_pool2d)
      .with(of_images(channelwise(), "it pools over the channels of sequences"));
}

AveragePool2d::AveragePool2d(int64_t height, int64_t width, const Pool2dOptions& options)
    : LayerSpec(pool2d_fields().write("average_pool2d", {options, height, width})) {}

}  // namespace lariat
