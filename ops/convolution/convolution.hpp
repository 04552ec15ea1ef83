#pragma once

#include "graph/ir/builder.hpp"
#include "ops/kernels/packed_matrix.hpp"
#include "ops/kernels/window.hpp"

namespace lariat {

/// y = x ⋆ w, the kernel not flipped: x [batch, height, width, channels], w [window.down.kernel,
/// window.across.kernel, channels, filters] -> y [batch, rows, columns, filters]. All results are the same
/// bits for every number of threads.
struct Convolution {
  int64_t batch = 0, height = 0, width = 0, channels = 0;
  int64_t rows = 0, columns = 0, filters = 0;
  Window2d window;

  /// The kernel as a matrix [taps·channels, filters].
  int64_t taps() const { return window.down.kernel * window.across.kernel; }
  int64_t depth() const { return taps() * channels; }
  /// 2 for each product and its addition; the gradients take as many.
  double flops() const {
    return 2 * static_cast<double>(depth()) * static_cast<double>(batch * rows * columns * filters);
  }
};

/// From the extents of x, w and y.
Convolution convolution_of(const Extents& x, const Extents& w, const Extents& y, const Window2d& window);

/// The scratch that the functions below need.
template <class T>
Workspace convolve_workspace(const Convolution& c, const PackedMatrix* packed);
template <class T>
Workspace input_gradient_workspace(const Convolution& c);
template <class T>
Workspace weight_gradient_workspace(const Convolution& c);

/// With `packed`, what pack_kernel() made of w, w is not read.
template <class T>
void convolve(const ParallelFor& parallel, const Convolution& c, const T* x, const T* w, T* y,
              const Scratch& scratch, const PackedMatrix* packed = nullptr);
/// The record's `pack`, for a kernel at `w` that is constant: a PackedMatrix, without zeros where that pays,
/// with the same bits; null where products do not pack it.
std::shared_ptr<const void> pack_kernel(const KernelContext& k, const Convolution& c);
/// dx for dy, the adjoint of y.
template <class T>
void convolve_input_gradient(const ParallelFor& parallel, const Convolution& c, const T* d_y, const T* w,
                             T* d_x, const Scratch& scratch);
/// dw for dy.
template <class T>
void convolve_weight_gradient(const ParallelFor& parallel, const Convolution& c, const T* x, const T* d_y,
                              T* d_w, const Scratch& scratch);

/// The ops of these kernels: the gradients of each one are made of the other two.
Value conv2d(Operand x, Operand w, const Window2d& window);
Value conv2d_input_gradient(Operand d_y, Operand w, const Window2d& window, Dim height, Dim width);
Value conv2d_weight_gradient(Operand x, Operand d_y, const Window2d& window);

}  // namespace lariat
