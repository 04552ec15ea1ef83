#include "ops/gemm.hpp"

#include <cblas.h>

#include <algorithm>

#include "graph/blas.hpp"

namespace lariat {

namespace {

// About 60 microseconds of work at 130 GFLOP/s: large against a task, small against a layer.
constexpr double flops_per_tile = 8e6;
constexpr int64_t smallest_side = 64;

int64_t tile_side(int64_t size, int64_t pieces) {
  const int64_t side = std::max((size + pieces - 1) / pieces, smallest_side);
  return (side + 15) / 16 * 16;
}

}  // namespace

template <class T>
void gemm_tile(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda,
               const T* b, int64_t ldb, T beta, T* c, int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) c[i * ldc + j] = beta == T(0) ? T(0) : beta * c[i * ldc + j];
    return;
  }
  use_one_blas_thread();
  const auto flag = [](bool transposed) { return transposed ? CblasTrans : CblasNoTrans; };
  const auto size = [](int64_t value) { return static_cast<blasint>(value); };
  if constexpr (std::is_same_v<T, float>) {
    cblas_sgemm(CblasRowMajor, flag(transpose_a), flag(transpose_b), size(m), size(n), size(k), 1, a,
                size(lda), b, size(ldb), beta, c, size(ldc));
  } else {
    cblas_dgemm(CblasRowMajor, flag(transpose_a), flag(transpose_b), size(m), size(n), size(k), 1, a,
                size(lda), b, size(ldb), beta, c, size(ldc));
  }
}

template <class T>
void gemm(const ParallelFor& parallel, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          const T* a, int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc) {
  const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const auto tiles = static_cast<int64_t>(std::clamp(flops / flops_per_tile, 1.0, 64.0));
  if (tiles == 1) return gemm_tile(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
  // Cut the longer side first: square tiles read the least.
  int64_t rows = m, columns = n;
  if (m >= n) {
    rows = tile_side(m, tiles);
    columns = tile_side(n, std::max<int64_t>(1, tiles / ((m + rows - 1) / rows)));
  } else {
    columns = tile_side(n, tiles);
    rows = tile_side(m, std::max<int64_t>(1, tiles / ((n + columns - 1) / columns)));
  }
  const int64_t across = (n + columns - 1) / columns, down = (m + rows - 1) / rows;
  parallel.run(across * down, 1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t i = tile / across * rows, j = tile % across * columns;
      gemm_tile(transpose_a, transpose_b, std::min(rows, m - i), std::min(columns, n - j), k,
                a + (transpose_a ? i : i * lda), lda, b + (transpose_b ? j * ldb : j), ldb, beta,
                c + i * ldc + j, ldc);
    }
  });
}

template void gemm_tile<float>(bool, bool, int64_t, int64_t, int64_t, const float*, int64_t, const float*,
                               int64_t, float, float*, int64_t);
template void gemm_tile<double>(bool, bool, int64_t, int64_t, int64_t, const double*, int64_t, const double*,
                                int64_t, double, double*, int64_t);
template void gemm<float>(const ParallelFor&, bool, bool, int64_t, int64_t, int64_t, const float*, int64_t,
                          const float*, int64_t, float, float*, int64_t);
template void gemm<double>(const ParallelFor&, bool, bool, int64_t, int64_t, int64_t, const double*, int64_t,
                           const double*, int64_t, double, double*, int64_t);

}  // namespace lariat
