#include <fmt/format.h>

#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/limits.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct ImageFields {
  int64_t height = 0, width = 0;
};

const Fields<ImageFields>& image_fields() {
  static const Fields<ImageFields> list =
      Fields<ImageFields>()
          .integer("height", &ImageFields::height, 1, most_frames, "rows of pixels")
          .integer("width", &ImageFields::width, 1, most_frames, "columns of pixels");
  return list;
}

Signal build_image(LayerContext& context, const Signal& input, const ImageFields& options) {
  const Shape& shape = input.value.shape();
  const int64_t pixels = options.height * options.width;
  if (shape.size() != 2)
    context.fail(fmt::format("takes data [batch, height·width·channels]; got {}{}", text(shape),
                             input.is_sequence() ? "; sequences are images as they are" : ""));
  if (input.channels() % pixels != 0)
    context.fail(fmt::format("{} values are no image of {} by {} pixels", input.channels(), options.height,
                             options.width));
  return {reshape(input.value, {shape[0], options.height, options.width, input.channels() / pixels})};
}

// Gray, or with three colours.
std::vector<int64_t> values_of_image(const ImageFields& options) {
  return {options.height * options.width, 3 * options.height * options.width};
}

}  // namespace

LayerKind layer_records::image() {
  return layer_kind("image", "the values of an example as rows and columns of pixels", image_fields(),
                    build_image)
      .with(joined_channels("it moves values from one place to another"))
      .taking(image_fields(), values_of_image);
}

Image::Image(int64_t height, int64_t width) : LayerSpec(image_fields().write("image", {height, width})) {}

}  // namespace lariat
