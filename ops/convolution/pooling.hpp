#pragma once

#include "ops/kernels/window.hpp"
#include "ops/ops.hpp"

namespace lariat {

/// Windows over x [batch, height, width, channels], all within it; the results are [batch, rows, columns,
/// channels].
struct Pooling {
  int64_t batch = 0, height = 0, width = 0, channels = 0;
  int64_t rows = 0, columns = 0;
  Window2d window;
};

/// From the extents of x and the result.
Pooling pooling_of(const Extents& x, const Extents& y, const Window2d& window);

/// The attributes `size` and `stride`; of two dimensions each is a list of two numbers, for height and width.
std::vector<AttributeSpec> pool_attributes();
std::vector<AttributeSpec> pool2d_attributes();
Window pool_of(const Attributes& attributes);
Window2d pool2d_of(const Attributes& attributes);
/// The same while a node is built, with the steps over x. Throw UserError for an x of other dimensions, or
/// one that is smaller than the window.
Shape pooled(const InferContext& c);
Shape pooled2d(const InferContext& c);

/// y and, for each of its elements, the place row·width + column of the first maximum; NaN is larger than any
/// number.
template <class T>
void max_pool(const ParallelFor& parallel, const Pooling& p, const T* x, T* y, int32_t* places);
template <class T>
void average_pool(const ParallelFor& parallel, const Pooling& p, const T* x, T* y);
/// The adjoint of average_pool: dx for dy.
template <class T>
void average_unpool(const ParallelFor& parallel, const Pooling& p, const T* d_y, T* d_x);

/// The op of average_unpool: d_y [batch, rows, columns, channels] -> [batch, height, width, channels].
Value average_unpool2d(Operand d_y, Size2d size, Size2d stride, Dim height, Dim width);
/// The attributes of the ops.
Attributes pool_attributes_of(Size2d size, Size2d stride);

}  // namespace lariat
