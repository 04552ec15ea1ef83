#pragma once

#include "frontends/sequential/layers/windows.hpp"

namespace lariat {

struct PoolFields : PoolOptions {
  int64_t size = 0;
  SequenceWindow window() const { return {size, stride == 0 ? size : stride, padding}; }
};

/// The options that the two poolings share.
const Fields<PoolFields>& pool_fields();
int64_t frames_to_pool(const PoolFields& options, int64_t frames);

}  // namespace lariat
