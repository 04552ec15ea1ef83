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

}  // namespace lariat
