#pragma once

#include <cmath>
#include <limits>
#include <xsimd/xsimd.hpp>

#include "ops/kernels/axes.hpp"

// Stands before a loop whose iterations read and write different elements, also where arrays may be the same.
#ifdef __clang__
#define LARIAT_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define LARIAT_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace lariat {

// Rows of exponentials, shared by softmax and its relatives. Everything is relative to the row's maximum, so
// no exponential overflows.

/// The largest of `count` values other than NaN; -inf where there is none.
template <class T>
T row_maximum(const T* x, int64_t count) {
  using Batch = xsimd::batch<T>;
  constexpr int64_t width = Batch::size;
  T largest = -std::numeric_limits<T>::infinity();
  int64_t i = 0;
  if (count >= width) {
    Batch lanes(largest);
    // max(a, b) gives b where a is NaN.
    for (; i + width <= count; i += width) lanes = xsimd::max(Batch::load_unaligned(x + i), lanes);
    alignas(64) T lane[width];
    lanes.store_aligned(lane);
    for (T value : lane) largest = value > largest ? value : largest;
  }
  for (; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

/// Σ exp(x - max), split so that its logarithm is exact where one term dominates.
struct ExponentialSum {
  double maxima = 0;  // how many elements are the maximum
  double rest = 0;    // the sum over the others

  double sum() const { return maxima + rest; }
  /// log Σ exp(x - max) = log(maxima) + log1p(rest / maxima)
  double log() const { return std::log(maxima) + std::log1p(rest / maxima); }
};

/// Sums exp(x - maximum) over a row, and writes the exponentials to `out` unless it is null. NaN reaches the
/// sum.
template <class T>
ExponentialSum sum_exponentials(const T* x, int64_t count, T maximum, T* out) {
  using Batch = xsimd::batch<T>;
  constexpr int64_t width = Batch::size;
  constexpr int64_t batches_per_block = 64;
  ExponentialSum total;
  const Batch top(maximum), zero(T(0)), one(T(1));
  alignas(64) T rest[width], maxima[width];
  int64_t i = 0;
  while (i + width <= count) {
    Batch rests(T(0)), counts(T(0));
    const int64_t end = std::min(count, i + batches_per_block * width);
    for (; i + width <= end; i += width) {
      const Batch value = Batch::load_unaligned(x + i);
      const Batch exponential = xsimd::exp(value - top);
      if (out) exponential.store_unaligned(out + i);
      const auto is_top = value == top;
      rests += xsimd::select(is_top, zero, exponential);
      counts += xsimd::select(is_top, one, zero);
    }
    rests.store_aligned(rest);
    counts.store_aligned(maxima);
    for (int64_t j = 0; j < width; ++j) {
      total.rest += rest[j];
      total.maxima += maxima[j];
    }
  }
  if (i < count) {
    alignas(64) T padded[width];
    for (int64_t j = 0; j < width; ++j) padded[j] = i + j < count ? x[i + j] : maximum;
    xsimd::exp(Batch::load_aligned(padded) - top).store_aligned(rest);
    for (int64_t j = 0; i + j < count; ++j) {
      if (out) out[i + j] = rest[j];
      if (padded[j] == maximum) {
        total.maxima += 1;
      } else {
        total.rest += rest[j];
      }
    }
  }
  return total;
}

/// Σ a·b over a row.
template <class T>
double row_product(const T* a, const T* b, int64_t count) {
  using Batch = xsimd::batch<T>;
  constexpr int64_t width = Batch::size;
  constexpr int64_t batches_per_block = 64;
  double total = 0;
  alignas(64) T lane[width];
  int64_t i = 0;
  while (i + width <= count) {
    Batch lanes(T(0));
    const int64_t end = std::min(count, i + batches_per_block * width);
    for (; i + width <= end; i += width) lanes += Batch::load_unaligned(a + i) * Batch::load_unaligned(b + i);
    lanes.store_aligned(lane);
    for (T value : lane) total += value;
  }
  for (; i < count; ++i) total += static_cast<double>(a[i]) * b[i];
  return total;
}

/// x's type, for an op on the rows of its last axis.
inline std::vector<TensorType> infer_rows(const InferContext& c) {
  check_float(c, 0, "x");
  checked_axis(-1, c.shape(0));
  return {c.in(0)};
}

/// Runs `body(row)` over the rows of input 0's last axis.
template <class Body>
void for_each_row(const KernelContext& k, const Body& body) {
  const AxisBlocks blocks = blocks_around(k.inputs[0].extents, -1);
  k.parallel.run(blocks.outer, rows_per_task(blocks.extent), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

}  // namespace lariat
