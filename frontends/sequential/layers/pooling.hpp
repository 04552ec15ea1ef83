#pragma once

#include "frontends/sequential/layers/windows.hpp"
#include "ops/ops.hpp"

namespace lariat {

/// Smaller than anything a layer gives out: what pads a maximum.
inline constexpr double lowest = -3e38;

struct PoolFields : PoolOptions {
  int64_t size = 0;
  SequenceWindow window() const { return {size, stride == 0 ? size : stride, padding}; }
};

/// The options that the two poolings over time share.
const Fields<PoolFields>& pool_fields();
int64_t frames_to_pool(const PoolFields& options, int64_t frames);

struct Pool2dFields : Pool2dOptions {
  int64_t height = 0, width = 0;
  SequenceWindow rows() const { return {height, stride_height == 0 ? height : stride_height, padding}; }
  SequenceWindow columns() const { return {width, stride_width == 0 ? width : stride_width, padding}; }
  Size2d size() const { return {height, width}; }
  Size2d stride() const { return {rows().stride, columns().stride}; }
  /// x [batch, height, width, channels] with the zeros around it that `same` needs.
  Value padded(Value x) const { return columns().padded(rows().padded(x), 2); }
};

/// The options that the two poolings of images share.
const Fields<Pool2dFields>& pool2d_fields();
int64_t frames_to_pool2d(const Pool2dFields& options, int64_t frames);
/// 1 for the rows and the columns that images have, before any padding: [batch or 1, height, 1, 1] and
/// [1, 1, width, 1].
Value row_mask(const Signal& images);
Value column_mask(const Signal& images);

}  // namespace lariat
