#include "ops/kernels/sparse_product.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "ops/kernels/product_kernel.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/kernels/transpose_square.hpp"

namespace lariat {

namespace sparse_product_detail {

using Batch = xsimd::batch<float>;
constexpr int64_t width = Batch::size;
// Rows of a side by side in vectors, one multiply-add for each weight and vector; 8 sums hide its latency.
constexpr int64_t most_vectors = 8, most_rows = most_vectors * width;
// Sums that run side by side for one row.
constexpr int64_t chains = 8;
// A dense product multiplies by a zero faster than a sparse one finds what is none, the more so the fewer
// rows share the search: the largest share of weights for which leaving out the others pays. Measured by
// benchmarks/sparse_products.
constexpr double densest = 0.22;
double densest_for(int64_t m) { return m >= width ? densest : m >= width / 2 ? 0.1 : 0.02; }

constexpr int64_t columns_per_task = 256;

float multiply_add_of(float x, float y, float z) {
#ifdef __FMA__
  return std::fma(x, y, z);
#else
  return x * y + z;
#endif
}

struct SparseProduct {
  int64_t m;
  const float* a;
  int64_t lda;
  const SparseColumns& b;
  Addend<float> addend;
  float* c;
  int64_t ldc;

  int64_t blocks() const { return std::max<int64_t>(1, (b.inner + inner_block - 1) / inner_block); }
  // What a block's sums are added to: the addend, then what the blocks before it made; null: nothing.
  const float* start(int64_t block, int64_t row, int64_t column) const {
    if (block > 0) return c + row * ldc + column;
    return addend.data ? addend.data + row * addend.row + column : nullptr;
  }
};

// One row of a.
void multiply_row(const SparseProduct& p, int64_t row, int64_t begin, int64_t end) {
  const SparseColumns& b = p.b;
  const uint16_t* const places = b.places.data();
  const float* const values = b.values.data();
  for (int64_t block = 0; block < p.blocks(); ++block) {
    const float* const a = p.a + row * p.lda + block * inner_block;
    const int32_t* const starts = b.starts.data() + block * b.columns;
    const int32_t* const order = b.order.data() + block * b.columns;
    for (int64_t j = begin; j < end; j += chains) {
      const int64_t count = std::min(chains, end - j);
      int32_t at[chains] = {}, common = count == chains ? INT32_MAX : 0;
      float sums[chains] = {};
      for (int64_t c = 0; c < count; ++c) {
        at[c] = starts[order[j + c]];
        common = std::min(common, starts[order[j + c] + 1] - at[c]);
      }
      for (int32_t i = 0; i < common; ++i)
#pragma GCC unroll 8
        for (int64_t c = 0; c < chains; ++c)
          sums[c] = multiply_add_of(a[places[at[c] + i]], values[at[c] + i], sums[c]);
      for (int64_t c = 0; c < count; ++c) {
        const int64_t column = order[j + c];
        for (int32_t e = at[c] + common; e < starts[column + 1]; ++e)
          sums[c] = multiply_add_of(a[places[e]], values[e], sums[c]);
        const float* const start = p.start(block, row, column);
        p.c[row * p.ldc + column] = start ? sums[c] + *start : sums[c];
      }
    }
  }
}

// to[k, i] = a[i, k] for `rows` rows and `depth` columns; rows up to the next whole vector become 0.
void transpose_rows(const float* a, int64_t lda, int64_t rows, int64_t depth, float* to, int64_t to_row) {
  for (int64_t i = 0; i < rows; i += width)
    for (int64_t k = 0; k < depth; k += width) {
      const int64_t high = std::min(width, rows - i), deep = std::min(width, depth - k);
      if (high == width && deep == width) {
        transpose_square(a + i * lda + k, lda, to + k * to_row + i, to_row);
        continue;
      }
      for (int64_t d = 0; d < deep; ++d)
        for (int64_t h = 0; h < width; ++h)
          to[(k + d) * to_row + i + h] = h < high ? a[(i + h) * lda + k + d] : 0;
    }
}

// The sums of one column for so many vectors of rows.
template <int vectors>
void sum_column(const float* rows, const uint16_t* places, const float* values, int32_t count, float* to) {
  Batch sums[vectors];
#pragma GCC unroll 8
  for (int v = 0; v < vectors; ++v) sums[v] = Batch(0.0f);
  for (int32_t i = 0; i < count; ++i) {
    const float* const row = rows + places[i] * (vectors * width);
    const Batch value(values[i]);
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v)
      sums[v] = multiply_add(value, Batch::load_unaligned(row + v * width), sums[v]);
  }
#pragma GCC unroll 8
  for (int v = 0; v < vectors; ++v) sums[v].store_unaligned(to + v * width);
}

template <int... i>
constexpr auto column_sums_of(std::integer_sequence<int, i...>) {
  return std::array{sum_column<i + 1>...};
}
// column_sums[i] is of i + 1 vectors.
constexpr auto column_sums = column_sums_of(std::make_integer_sequence<int, most_vectors>());

// Rows [row, row + rows), columns [begin, end). `scratch` is of tile_bytes().
void multiply_tile(const SparseProduct& p, int64_t row, int64_t rows, int64_t begin, int64_t end,
                   float* scratch) {
  const SparseColumns& b = p.b;
  const int64_t vectors = (rows + width - 1) / width, together = vectors * width;
  float *const turned = scratch, *const sums = scratch + inner_block * together;
  for (int64_t block = 0; block < p.blocks(); ++block) {
    const int64_t first = block * inner_block, depth = std::min(inner_block, b.inner - first);
    transpose_rows(p.a + row * p.lda + first, p.lda, rows, depth, turned, together);
    const int32_t* const starts = b.starts.data() + block * b.columns;
    for (int64_t j = begin; j < end; j += width) {
      const int64_t count = std::min(width, end - j);
      for (int64_t c = 0; c < count; ++c)
        column_sums[static_cast<size_t>(vectors - 1)](turned, b.places.data() + starts[j + c],
                                                      b.values.data() + starts[j + c],
                                                      starts[j + c + 1] - starts[j + c], sums + c * together);
      for (int64_t i = 0; i < rows; i += width) {
        alignas(64) float square[width * width];
        transpose_square(sums + i, together, square, width);
        for (int64_t h = 0; h < std::min(width, rows - i); ++h) {
          float* const to = p.c + (row + i + h) * p.ldc + j;
          const float* const start = p.start(block, row + i + h, j);
          if (count == width) {
            const Batch sum = Batch::load_aligned(square + h * width);
            (start ? sum + Batch::load_unaligned(start) : sum).store_unaligned(to);
          } else {
            for (int64_t c = 0; c < count; ++c) to[c] = square[h * width + c] + (start ? start[c] : 0.0f);
          }
        }
      }
    }
  }
}

int64_t tile_rows(int64_t m) { return std::min(most_rows, (m + width - 1) / width * width); }

size_t tile_bytes(int64_t m) {
  return static_cast<size_t>((inner_block + width) * tile_rows(m)) * sizeof(float);
}

}  // namespace sparse_product_detail

std::shared_ptr<const SparseColumns> pack_sparse(bool transpose_b, int64_t n, int64_t k, const float* b,
                                                 int64_t ldb) {
  using namespace sparse_product_detail;
  if (n < 2 || k == 0 || k > inner_stretch || n * k > INT32_MAX) return {};
  const auto zeros = [&] {
    int64_t count = 0;
    for (int64_t i = 0; i < (transpose_b ? n : k); ++i)
      for (int64_t j = 0; j < (transpose_b ? k : n); ++j) count += b[i * ldb + j] == 0;
    return count;
  };
  if (static_cast<double>(n * k - zeros()) > densest * static_cast<double>(n * k)) return {};
  const auto packed = std::make_shared<SparseColumns>();
  packed->inner = k;
  packed->columns = n;
  packed->starts.push_back(0);
  for (int64_t first = 0; first < k; first += inner_block)
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = first; i < std::min(k, first + inner_block); ++i) {
        const float value = transpose_b ? b[j * ldb + i] : b[i * ldb + j];
        if (value == 0) continue;
        packed->places.push_back(static_cast<uint16_t>(i - first));
        packed->values.push_back(value);
      }
      packed->starts.push_back(static_cast<int32_t>(packed->values.size()));
    }
  packed->order.resize(packed->starts.size() - 1);
  for (int64_t first = 0; first < static_cast<int64_t>(packed->order.size()); first += n)
    for (int64_t j = 0; j < n; j += columns_per_task) {
      const auto from = packed->order.begin() + first + j, to = from + std::min(columns_per_task, n - j);
      std::iota(from, to, static_cast<int32_t>(j));
      const int32_t* const starts = packed->starts.data() + first;
      std::stable_sort(from, to, [&](int32_t x, int32_t y) {
        return starts[x + 1] - starts[x] < starts[y + 1] - starts[y];
      });
    }
  return packed;
}

bool sparse_pays(const SparseColumns& b, int64_t m) {
  return static_cast<double>(b.values.size()) <=
         sparse_product_detail::densest_for(m) * static_cast<double>(b.inner * b.columns);
}

void multiply_sparse(const ParallelFor& parallel, int64_t m, const float* a, int64_t lda,
                     const SparseColumns& b, Addend<float> addend, float* c, int64_t ldc,
                     const Scratch& scratch) {
  using namespace sparse_product_detail;
  const SparseProduct p{m, a, lda, b, addend, c, ldc};
  const bool by_rows = m == 1;
  const int64_t high = by_rows ? 1 : tile_rows(m), down = (m + high - 1) / high;
  const int64_t across = (b.columns + columns_per_task - 1) / columns_per_task;
  // As much work as a dense product gives to one task.
  const auto weights = static_cast<int64_t>(b.values.size());
  const int64_t grain =
      std::max<int64_t>(1, down * across * 500'000 / std::max<int64_t>(1, m * (weights + b.columns)));
  parallel.run(down * across, grain, [&](int64_t from, int64_t to) {
    for (int64_t tile = from; tile < to; ++tile) {
      const int64_t row = tile / across * high, begin = tile % across * columns_per_task;
      const int64_t end = std::min(b.columns, begin + columns_per_task);
      if (by_rows) {
        multiply_row(p, row, begin, end);
      } else {
        multiply_tile(p, row, std::min(high, m - row), begin, end,
                      reinterpret_cast<float*>(scratch.own(parallel)));
      }
    }
  });
}

Workspace sparse_workspace(int64_t m) {
  using namespace sparse_product_detail;
  return {0, m == 1 ? 0 : tile_bytes(m)};
}

}  // namespace lariat
