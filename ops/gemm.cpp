#include "ops/gemm.hpp"

#include <cblas.h>

#include <algorithm>
#include <optional>

#include "graph/blas.hpp"
#include "graph/tensor.hpp"
#include "ops/product_kernel.hpp"

namespace lariat {

namespace {

// About 60 microseconds of work at 130 GFLOP/s: large against a task, small against a layer.
constexpr double flops_per_tile = 8e6;
constexpr int64_t smallest_side = 64;
// The same where b is read for a few rows only.
constexpr double bytes_per_tile = 4e5;
// With no more rows than this, packing b costs more than reading it where it lies.
constexpr int64_t rows_in_place = 256;
// The same of a's rows.
constexpr int64_t columns_in_place = 128;
constexpr int64_t tile_rows = 256;

// The first column that a product packs; those before it are read in place.
int64_t first_packed(bool transpose_b, int64_t m, int64_t n) {
  if (transpose_b || m > rows_in_place) return 0;
  const int64_t together = m <= few_rows ? vector_columns<float>() : panel_columns<float>();
  return n / together * together;
}

int64_t tile_side(int64_t size, int64_t pieces) {
  const int64_t side = std::max((size + pieces - 1) / pieces, smallest_side);
  return (side + 31) / 32 * 32;
}

// By OpenBLAS, which is at its best with doubles and large tiles.
void blas_tile(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const double* a,
               int64_t lda, const double* b, int64_t ldb, Addend<double> addend, double* c, int64_t ldc) {
  for (int64_t i = 0; i < m && addend.data != c; ++i) {
    if (addend.data) {
      std::copy_n(addend.data + i * addend.row, n, c + i * ldc);
    } else {
      std::fill_n(c + i * ldc, n, 0.0);
    }
  }
  if (k == 0) return;
  use_one_blas_thread();
  const auto flag = [](bool transposed) { return transposed ? CblasTrans : CblasNoTrans; };
  const auto size = [](int64_t value) { return static_cast<blasint>(value); };
  cblas_dgemm(CblasRowMajor, flag(transpose_a), flag(transpose_b), size(m), size(n), size(k), 1, a, size(lda),
              b, size(ldb), addend.data ? 1 : 0, c, size(ldc));
}

// Kept between calls, so that a step allocates nothing. A thread that waits for the tiles of its product runs
// nothing else, so one for each thread and `Use` does.
template <class Use, class T>
T* kept_space(int64_t count) {
  thread_local std::shared_ptr<std::byte> memory;
  thread_local int64_t size = 0;
  if (!memory || count > size) {
    memory = allocate_bytes(static_cast<size_t>(count) * sizeof(T));
    size = count;
  }
  return reinterpret_cast<T*>(memory.get());
}

// Products of floats. What lies badly in memory, and is used often enough, is packed once, by all threads: b
// for many rows, and a where it is transposed.
class FloatProduct {
 public:
  FloatProduct(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
               int64_t lda, const float* b, int64_t ldb, Addend<float> addend, float* c, int64_t ldc,
               const float* packed_b)
      : m_(m),
        n_(n),
        k_(k),
        a_(view(transpose_a, a, lda)),
        b_(view(transpose_b, b, ldb)),
        start_{addend.data, addend.row},
        c_(c),
        ldc_(ldc) {
    is_rows_ = m == 1 && transpose_b && a_.column == 1;
    pack_a_ = transpose_a && m >= block_height<float>() && n >= columns_in_place;
    packed_from_ = is_rows_ ? n : packed_b ? 0 : first_packed(transpose_b, m, n);
    packs_from_ = packed_b ? n : packed_from_;
    const int64_t rows = pack_a_ ? packed_rows_count<float>(m, k) : 0;
    packed_a_ = kept_space<FloatProduct, float>(rows + packed_count<float>(k, n - packs_from_));
    own_b_ = packed_a_ + rows - packs_from_ * k;
    packed_b_ = packed_b ? packed_b : own_b_;
  }

  void pack(const ParallelFor* parallel) const {
    const int64_t rows = block_height<float>(), columns = panel_columns<float>();
    if (pack_a_)
      split(parallel, m_, 4 * rows,
            [&](int64_t begin, int64_t end) { pack_rows(a_, k_, begin, end, packed_a_); });
    split(parallel, n_ - packs_from_, 4 * columns, [&](int64_t begin, int64_t end) {
      pack_columns(b_, k_, packs_from_ + begin, packs_from_ + end, own_b_);
    });
  }

  /// Rows must begin at a multiple of a block's height, columns at one of a panel's width.
  void tile(int64_t row, int64_t rows, int64_t begin, int64_t end) const {
    float* c = c_ + row * ldc_;
    const MatrixView<float> start = start_.data ? start_.at(row, 0) : start_;
    const MatrixView<float> a = pack_a_ ? packed_rows(packed_a_, k_, row) : a_.at(row, 0);
    const int64_t middle = std::clamp(packed_from_, begin, end);
    if (is_rows_)
      return multiply_rows(end - begin, k_, a.data, b_.at(0, begin).data, b_.column,
                           start.data ? start.data + begin : nullptr, c + begin);
    if (begin < middle) multiply_in_place(rows, k_, begin, middle, a, b_.data, b_.row, start, c, ldc_);
    if (middle < end) multiply_packed(rows, k_, middle, end, a, packed_b_, start, c, ldc_);
  }

  static MatrixView<float> view(bool transpose, const float* data, int64_t stride) {
    return transpose ? MatrixView<float>{data, 1, stride} : MatrixView<float>{data, stride, 1};
  }

 private:
  template <class Body>
  static void split(const ParallelFor* parallel, int64_t count, int64_t grain, const Body& body) {
    if (count == 0) return;
    if (parallel && count > grain) {
      parallel->run(count, grain, body);
    } else {
      body(0, count);
    }
  }

  const int64_t m_, n_, k_;
  const MatrixView<float> a_, b_;
  const MatrixView<float> start_;
  float* const c_;
  const int64_t ldc_;
  bool is_rows_ = false, pack_a_ = false;
  // Columns from packed_from_ on are packed, from packs_from_ on at this call.
  int64_t packed_from_ = 0, packs_from_ = 0;
  float *packed_a_ = nullptr, *own_b_ = nullptr;
  const float* packed_b_ = nullptr;
};

// A column is a row of the transposed product. What that one adds; nothing where c is no column, or its
// elements do not lie together.
template <class T>
std::optional<Addend<T>> addend_of_row(int64_t m, int64_t n, int64_t ldc, Addend<T> addend, T* c) {
  if (n != 1 || m == 1 || ldc != 1 || addend.row > 1) return std::nullopt;
  if (!addend.data || addend.row == 1) return Addend<T>{addend.data, 0};
  std::fill_n(c, m, *addend.data);
  return Addend<T>{c, 0};
}

// Where the inner dimension is long beside the others, as in a gradient over all of the data, its blocks are
// the tasks. Their sums are added in the order of the blocks, as within one tile.
template <class T>
void sum_over_blocks(const ParallelFor& parallel, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
                     int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb, Addend<T> addend, T* c,
                     int64_t ldc) {
  struct Partial;
  T* const partial = kept_space<Partial, T>((k + inner_block - 1) / inner_block * m * n);
  parallel.run((k + inner_block - 1) / inner_block, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * inner_block;
      gemm_tile<T>(transpose_a, transpose_b, m, n, std::min(inner_block, k - first),
                   a + (transpose_a ? first * lda : first), lda, b + (transpose_b ? first : first * ldb), ldb,
                   {}, partial + block * m * n, n);
    }
  });
  for (int64_t i = 0; i < m; ++i) {
    T* to = c + i * ldc;
    const T* from = partial + i * n;
    if (addend.data) {
      for (int64_t j = 0; j < n; ++j) to[j] = addend.data[i * addend.row + j] + from[j];
    } else {
      std::copy_n(from, n, to);
    }
    for (int64_t first = inner_block; first < k; first += inner_block) {
      from += m * n;
      for (int64_t j = 0; j < n; ++j) to[j] += from[j];
    }
  }
}

}  // namespace

template <class T>
void gemm_tile(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda,
               const T* b, int64_t ldb, Addend<T> addend, T* c, int64_t ldc, const T* packed) {
  if (m == 0 || n == 0) return;
  if (const auto row = addend_of_row(m, n, ldc, addend, c))
    return gemm_tile(!transpose_b, !transpose_a, 1, m, k, b, ldb, a, lda, *row, c, m);
  if constexpr (std::is_same_v<T, float>) {
    const FloatProduct product(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, addend, c, ldc, packed);
    product.pack(nullptr);
    product.tile(0, m, 0, n);
  } else {
    blas_tile(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, addend, c, ldc);
  }
}

template <class T>
void gemm(const ParallelFor& parallel, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          const T* a, int64_t lda, const T* b, int64_t ldb, Addend<T> addend, T* c, int64_t ldc,
          const T* packed) {
  if (const auto row = addend_of_row(m, n, ldc, addend, c))
    return gemm(parallel, !transpose_b, !transpose_a, 1, m, k, b, ldb, a, lda, *row, c, m);
  const double elements = static_cast<double>(n) * static_cast<double>(k);
  const double work =
      std::max(2 * static_cast<double>(m) * elements / flops_per_tile, elements * sizeof(T) / bytes_per_tile);
  const auto tiles = static_cast<int64_t>(std::clamp(work, 1.0, 64.0));
  if (tiles == 1) return gemm_tile(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, addend, c, ldc, packed);
  // High tiles: the packed columns are read once for each.
  const int64_t rows = tile_side(m, (m + tile_rows - 1) / tile_rows);
  const int64_t columns =
      tile_side(n, std::max<int64_t>(1, tiles * rows / (m < smallest_side / 2 ? rows : m)));
  const int64_t across = (n + columns - 1) / columns, down = (m + rows - 1) / rows;
  // A row times a transposed matrix sums in another order.
  if (across * down < tiles && k >= 4 * inner_block && m * n <= inner_block / 8 * (m + n) &&
      !(m == 1 && transpose_b))
    return sum_over_blocks(parallel, transpose_a, transpose_b, m, n, k, a, lda, b, ldb, addend, c, ldc);
  const auto each_tile = [&](const auto& compute) {
    parallel.run(across * down, 1, [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t i = tile / across * rows, j = tile % across * columns;
        compute(i, std::min(rows, m - i), j, std::min(columns, n - j));
      }
    });
  };
  if constexpr (std::is_same_v<T, float>) {
    const FloatProduct product(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, addend, c, ldc, packed);
    product.pack(&parallel);
    each_tile(
        [&](int64_t i, int64_t height, int64_t j, int64_t width) { product.tile(i, height, j, j + width); });
  } else {
    each_tile([&](int64_t i, int64_t height, int64_t j, int64_t width) {
      blas_tile(transpose_a, transpose_b, height, width, k, a + (transpose_a ? i : i * lda), lda,
                b + (transpose_b ? j * ldb : j), ldb,
                addend.data ? Addend<T>{addend.data + i * addend.row + j, addend.row} : addend,
                c + i * ldc + j, ldc);
    });
  }
}

template <class T>
std::shared_ptr<const T> pack_b(bool transpose_b, int64_t n, int64_t k, const T* b, int64_t ldb) {
  if constexpr (std::is_same_v<T, float>) {
    if (n < 2 || k == 0) return {};
    const auto memory = allocate_bytes(static_cast<size_t>(packed_count<float>(k, n)) * sizeof(float));
    const std::shared_ptr<float> packed(memory, reinterpret_cast<float*>(memory.get()));
    pack_columns(FloatProduct::view(transpose_b, b, ldb), k, 0, n, packed.get());
    return packed;
  } else {
    return {};
  }
}

#define LARIAT_GEMM(T)                                                                                    \
  template void gemm_tile<T>(bool, bool, int64_t, int64_t, int64_t, const T*, int64_t, const T*, int64_t, \
                             Addend<T>, T*, int64_t, const T*);                                           \
  template void gemm<T>(const ParallelFor&, bool, bool, int64_t, int64_t, int64_t, const T*, int64_t,     \
                        const T*, int64_t, Addend<T>, T*, int64_t, const T*);                             \
  template std::shared_ptr<const T> pack_b<T>(bool, int64_t, int64_t, const T*, int64_t);
LARIAT_GEMM(float)
LARIAT_GEMM(double)
#undef LARIAT_GEMM

}  // namespace lariat
