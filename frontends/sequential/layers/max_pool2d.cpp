#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers/pooling.hpp"
#include "frontends/sequential/layers/units.hpp"

namespace lariat {

namespace {

Signal build_max_pool2d(LayerContext& context, const Signal& input, const Pool2dFields& options) {
  const Signal images = context.images(input);
  Value x = images.value;
  if (options.padding == Padding::same) {
    const Value inside = options.padded(row_mask(images) * column_mask(images));
    x = where(inside, options.padded(x), lowest);
  }
  const Signal pooled{max_pool2d(x, options.size(), options.stride()),
                      images.is_sequence() ? options.rows().lengths(images.lengths) : Value()};
  return {masked(pooled), pooled.lengths};
}

}  // namespace

LayerKind layer_records::max_pool2d() {
  return layer_kind("max_pool2d", "the largest of neighbouring pixels, per channel", pool2d_fields(),
                    build_max_pool2d, frames_to_pool2d)
      .with(of_images(channelwise(), "it pools over the channels of sequences"));
}

MaxPool2d::MaxPool2d(int64_t height, int64_t width, const Pool2dOptions& options)
    : LayerSpec(pool2d_fields().write("max_pool2d", {options, height, width})) {}

}  // namespace lariat
