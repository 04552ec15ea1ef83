#include "frontends/sequential/layers/pooling.hpp"

namespace lariat {

const Fields<PoolFields>& pool_fields() {
  static const Fields<PoolFields> list =
      Fields<PoolFields>()
          .integer("size", &PoolFields::size, 1, most_frames, "frames that one output frame sees")
          .integer("stride", &PoolFields::stride, 0, most_frames,
                   "frames from one output frame to the next; 0: size")
          .choice("padding", &PoolFields::padding, padding_names(), padding_doc);
  return list;
}

int64_t frames_to_pool(const PoolFields& options, int64_t frames) {
  return options.window().frames_needed(frames);
}

const Fields<Pool2dFields>& pool2d_fields() {
  static const Fields<Pool2dFields> list =
      Fields<Pool2dFields>()
          .integer("height", &Pool2dFields::height, 1, most_frames, "rows that one output pixel sees")
          .integer("width", &Pool2dFields::width, 1, most_frames, "columns that one output pixel sees")
          .integer("stride_height", &Pool2dFields::stride_height, 0, most_frames,
                   "rows from one output row to the next; 0: height")
          .integer("stride_width", &Pool2dFields::stride_width, 0, most_frames,
                   "columns from one output column to the next; 0: width")
          .choice("padding", &Pool2dFields::padding, padding_names(), padding_doc);
  return list;
}

int64_t frames_to_pool2d(const Pool2dFields& options, int64_t frames) {
  return options.rows().frames_needed(frames);
}

namespace {

Value ones(Value like, const Shape& shape) {
  return broadcast_to(like.graph().constant(1.0, like.dtype()), shape);
}

}  // namespace

Value row_mask(const Signal& images) {
  if (images.is_sequence()) return frame_mask(images);
  return ones(images.value, {1, images.value.shape()[1], 1, 1});
}

Value column_mask(const Signal& images) { return ones(images.value, {1, 1, images.value.shape()[2], 1}); }

}  // namespace lariat
