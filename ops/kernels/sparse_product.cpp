#include "ops/kernels/sparse_product.hpp"

#include <algorithm>
#include <xsimd/xsimd.hpp>

namespace lariat {

namespace sparse_product_detail {

// A dense product multiplies by a zero faster than a sparse one finds what is none: the largest share of
// weights for which leaving out the others pays. Measured by benchmarks/sparse_products.
constexpr int64_t width = xsimd::batch<float>::size;
constexpr double densest_of_one_row = width == 16 ? 0.35 : 0.2, densest_of_few_rows = 0.2,
                 densest_of_many_rows = 0.4;
// So many rows go by windows: as many as cost what a vector of rows costs.
constexpr int64_t rows_by_windows = std::max<int64_t>(1, 3 * width / 8);

double densest_for(const SparseMatrix& b, int64_t m) {
  if (m <= rows_by_windows && !has_window(b.inner)) return 0;
  return m == 1 ? densest_of_one_row : m < width ? densest_of_few_rows : densest_of_many_rows;
}

}  // namespace sparse_product_detail

std::shared_ptr<const SparseMatrix> pack_sparse(bool transpose_b, int64_t n, int64_t k, const float* b,
                                                int64_t ldb) {
  using namespace sparse_product_detail;
  if (n < 2 || k == 0 || k > inner_stretch || n * k > INT32_MAX) return {};
  int64_t weights = 0;
  for (int64_t i = 0; i < (transpose_b ? n : k); ++i)
    for (int64_t j = 0; j < (transpose_b ? k : n); ++j) weights += b[i * ldb + j] != 0;
  const double densest = std::max(densest_of_one_row, densest_of_many_rows);
  if (static_cast<double>(weights) > densest * static_cast<double>(n * k)) return {};
  SparseLists columns(static_cast<size_t>(n));
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i < k; ++i)
      if (const float value = transpose_b ? b[j * ldb + i] : b[i * ldb + j]; value != 0)
        columns[static_cast<size_t>(j)].emplace_back(static_cast<int32_t>(i), value);
  const auto packed = std::make_shared<SparseMatrix>(SparseMatrix{k, n, weights, {}, tiles_of(columns, k)});
  if (has_window(k)) packed->windows = windows_of(columns, k);
  return packed;
}

bool sparse_pays(const SparseMatrix& b, int64_t m) {
  return static_cast<double>(b.weights) <=
         sparse_product_detail::densest_for(b, m) * static_cast<double>(b.inner * b.columns);
}

void multiply_sparse(const ParallelFor& parallel, int64_t m, const float* a, int64_t lda,
                     const SparseMatrix& b, Addend<float> addend, float* c, int64_t ldc,
                     const Scratch& scratch) {
  using namespace sparse_product_detail;
  const SparseProduct p{m, a, lda, b, addend, c, ldc};
  // As much work as a dense product gives to one task.
  const auto grain = [&](int64_t tasks) {
    return std::max<int64_t>(1, tasks * 500'000 / std::max<int64_t>(1, m * (b.weights + b.columns)));
  };
  if (m <= rows_by_windows && has_window(b.inner)) {
    const int64_t units = (b.columns + window_columns() - 1) / window_columns();
    parallel.run(units, grain(units), [&](int64_t from, int64_t to) { multiply_windows(p, from, to); });
    return;
  }
  // A tile's rows are turned once for all the columns that one thread takes.
  const int64_t high = tile_rows(m), down = (m + high - 1) / high, chunk = tile_chunk_columns();
  const int64_t chunks = (b.columns + chunk - 1) / chunk;
  const int64_t together = parallel.threads() == 1 ? chunks : std::min<int64_t>(chunks, 4);
  const int64_t across = (chunks + together - 1) / together;
  parallel.run(down * across, grain(down * across), [&](int64_t from, int64_t to) {
    for (int64_t tile = from; tile < to; ++tile) {
      const int64_t row = tile / across * high, begin = tile % across * together;
      multiply_tiles(p, row, std::min(high, m - row), begin, std::min(chunks, begin + together),
                     reinterpret_cast<float*>(scratch.own(parallel)));
    }
  });
}

Workspace sparse_workspace(int64_t m) { return {0, tile_bytes(m)}; }

}  // namespace lariat
