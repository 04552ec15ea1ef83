#pragma once

#include <algorithm>
#include <type_traits>
#include <xsimd/xsimd.hpp>

#include "graph/op_def.hpp"

namespace lariat {

// Element-wise functors are written once, for a scalar and for a SIMD batch: `using xsimd::exp;` in the functor finds
// the batch's function by name lookup. These helpers cover what differs between the two.

template <class T>
T select(bool condition, T yes, T no) {
  return condition ? yes : no;
}
using xsimd::select;

/// 1 where the condition holds, else 0, in the type of `like`.
template <class Condition, class T>
T indicator(Condition condition, T /*like*/) {
  return select(condition, T(1), T(0));
}

/// Applies a functor to `count` elements. The last, partial vector is padded rather than done one by one, so an
/// element's bits do not depend on its place.
template <class T, size_t N, class F>
void map_block(const F& f, const void* const* inputs, void* output, int64_t count) {
  T* out = static_cast<T*>(output);
  const auto apply = [&]<size_t... I>(std::index_sequence<I...>) {
    if constexpr (std::is_integral_v<T>) {
      for (int64_t i = 0; i < count; ++i) out[i] = f(static_cast<const T*>(inputs[I])[i]...);
    } else {
      using Batch = xsimd::batch<T>;
      constexpr int64_t width = Batch::size;
      int64_t i = 0;
      for (; i + width <= count; i += width)
        f(Batch::load_unaligned(static_cast<const T*>(inputs[I]) + i)...).store_unaligned(out + i);
      if (i < count) {
        alignas(64) T padded[N][width];
        for (size_t k = 0; k < N; ++k)
          for (int64_t j = 0; j < width; ++j) padded[k][j] = static_cast<const T*>(inputs[k])[std::min(i + j, count - 1)];
        alignas(64) T result[width];
        f(Batch::load_aligned(padded[I])...).store_aligned(result);
        std::copy_n(result, count - i, out + i);
      }
    }
  };
  apply(std::make_index_sequence<N>());
}

template <class F, size_t N, class T>
void block_kernel(const void* const* inputs, void* output, int64_t count, const Attributes&) {
  map_block<T, N>(F{}, inputs, output, count);
}
template <class Factory, size_t N, class T>
void block_kernel_with(const void* const* inputs, void* output, int64_t count, const Attributes& attributes) {
  map_block<T, N>(Factory{}(attributes), inputs, output, count);
}

/// Block kernels for f32 and f64 of a lambda without captures that takes N scalars or SIMD batches.
template <size_t N, class F>
PerDType<BlockKernel> float_blocks(F) {
  return {block_kernel<F, N, float>, block_kernel<F, N, double>, nullptr};
}
/// The same for f32, f64 and i32.
template <size_t N, class F>
PerDType<BlockKernel> number_blocks(F) {
  return {block_kernel<F, N, float>, block_kernel<F, N, double>, block_kernel<F, N, int32_t>};
}
/// Block kernels of a function with parameters: `factory` takes the node's attributes and returns the lambda.
template <size_t N, class Factory>
PerDType<BlockKernel> float_blocks_with(Factory) {
  return {block_kernel_with<Factory, N, float>, block_kernel_with<Factory, N, double>, nullptr};
}

}  // namespace lariat
