#include "ops/kernels/gemm.hpp"

#include <algorithm>
#include <optional>

#include "graph/base/blas.hpp"
#include "graph/base/tensor.hpp"
#include "ops/kernels/product_kernel.hpp"
#include "ops/kernels/simd.hpp"

namespace lariat {

namespace gemm_detail {

// About 60 microseconds of work at 130 GFLOP/s: large against a task, small against a layer.
constexpr double flops_per_tile = 8e6;
constexpr int64_t smallest_side = 64;
// The same where b is read for a few rows only.
constexpr double bytes_per_tile = 4e5;
// With more rows than one tile has, b is packed once for all of them.
constexpr int64_t tile_rows = 256;
// For fewer columns, packing a costs more than reading it where it lies.
constexpr int64_t columns_in_place = 128;

// A multiple of `unit`.
int64_t tile_side(int64_t size, int64_t pieces, int64_t unit) {
  const int64_t side = std::max((size + pieces - 1) / pieces, smallest_side);
  return (side + unit - 1) / unit * unit;
}

// By OpenBLAS, which is at its best with doubles and large tiles.
void blas_tile(const Product& p, const double* a, const double* b, Addend<double> addend, double* c,
               int64_t ldc) {
  for (int64_t i = 0; i < p.m && addend.data != c; ++i) {
    if (addend.data) {
      std::copy_n(addend.data + i * addend.row, p.n, c + i * ldc);
    } else {
      std::fill_n(c + i * ldc, p.n, 0.0);
    }
  }
  if (p.k == 0) return;
  blas_product(p.transpose_a, p.transpose_b, p.m, p.n, p.k, a, p.lda, b, p.ldb, addend.data ? 1 : 0, c, ldc);
}

constexpr size_t cache_line = 64;

size_t rounded_up(size_t bytes) { return (bytes + cache_line - 1) / cache_line * cache_line; }

template <class T>
bool has_stretches(const Product& p) {
  return std::is_same_v<T, float> && p.k > inner_stretch;
}
size_t sum_bytes(const Product& p, int64_t rows, int64_t columns) {
  return has_stretches<float>(p) ? rounded_up(static_cast<size_t>(rows * columns) * sizeof(double)) : 0;
}

// What a product of floats packs before its tiles are computed.
struct Packing {
  bool is_row;  // a row times a transposed matrix: nothing
  bool a, b;
  bool copies_b;  // each tile for itself

  Packing(const Product& p, bool packed_b)
      : is_row(p.m == 1 && p.transpose_b && (!p.transpose_a || p.lda == 1)),
        a(p.transpose_a && p.m >= block_height<float>() && p.n >= columns_in_place),
        b(!is_row && !packed_b && p.m > tile_rows),
        copies_b(!is_row && !packed_b && !b) {}

  size_t bytes_of_a(const Product& p) const {
    return a ? rounded_up(static_cast<size_t>(packed_rows_count<float>(p.m, p.k)) * sizeof(float)) : 0;
  }
  size_t bytes(const Product& p) const {
    return bytes_of_a(p) +
           (b ? rounded_up(static_cast<size_t>(packed_count<float>(p.k, p.n)) * sizeof(float)) : 0);
  }
  // What each thread copies of b.
  size_t copied_bytes(const Product& p) const {
    return copies_b ? rounded_up(static_cast<size_t>(copied_count<float>(p.k, p.n)) * sizeof(float)) : 0;
  }
};

// Products of floats, packed once by all threads: b for many rows, and a where it is transposed.
class FloatProduct {
 public:
  FloatProduct(const Product& p, const float* a, const float* b, Addend<float> addend, float* c, int64_t ldc,
               std::byte* scratch, const float* packed_b)
      : p_(p),
        packing_(p, packed_b != nullptr),
        a_(view(p.transpose_a, a, p.lda)),
        b_(view(p.transpose_b, b, p.ldb)),
        start_{addend.data, addend.row},
        c_(c),
        ldc_(ldc),
        packed_a_(reinterpret_cast<float*>(scratch)),
        own_b_(reinterpret_cast<float*>(scratch + packing_.bytes_of_a(p))),
        packed_b_(packed_b ? packed_b : own_b_) {}

  void pack(const ParallelFor* parallel) const {
    const int64_t rows = block_height<float>(), columns = panel_columns<float>();
    if (packing_.a)
      split(parallel, p_.m, 4 * rows,
            [&](int64_t begin, int64_t end) { pack_rows(a_, p_.k, begin, end, packed_a_); });
    if (packing_.b)
      split(parallel, p_.n, 4 * columns,
            [&](int64_t begin, int64_t end) { pack_columns(b_, p_.k, begin, end, own_b_); });
  }

  /// Rows must begin at a multiple of a block's height, columns at one of a panel's width. `own` is memory
  /// for copied_bytes() and sum_bytes().
  void tile(int64_t row, int64_t rows, int64_t begin, int64_t end, std::byte* own) const {
    const MatrixView<float> start = start_.data ? start_.at(row, 0) : start_;
    if (!has_stretches<float>(p_)) return multiply(row, rows, begin, end, 0, p_.k, start, own);
    const int64_t columns = end - begin;
    double* const sums = reinterpret_cast<double*>(own + packing_.copied_bytes(p_));
    float* const c = c_ + row * ldc_ + begin;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        sums[i * columns + j] = start.data ? static_cast<double>(*start.at(i, begin + j).data) : 0;
    for (int64_t first = 0; first < p_.k; first += inner_stretch) {
      multiply(row, rows, begin, end, first, std::min(inner_stretch, p_.k - first), {}, own);
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j) sums[i * columns + j] += static_cast<double>(c[i * ldc_ + j]);
    }
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) c[i * ldc_ + j] = static_cast<float>(sums[i * columns + j]);
  }

  static MatrixView<float> view(bool transpose, const float* data, int64_t stride) {
    return transpose ? MatrixView<float>{data, 1, stride} : MatrixView<float>{data, stride, 1};
  }

 private:
  // The part of a tile over `depth` elements of the inner dimension, from `first` on.
  void multiply(int64_t row, int64_t rows, int64_t begin, int64_t end, int64_t first, int64_t depth,
                MatrixView<float> start, std::byte* copies) const {
    float* c = c_ + row * ldc_;
    MatrixView<float> a = packing_.a ? packed_rows(packed_a_, p_.k, row) : a_.at(row, 0);
    a.data += first * a.column;
    if (packing_.is_row)
      return multiply_rows(end - begin, depth, a.data, b_.at(first, begin).data, b_.column,
                           start.data ? start.data + begin : nullptr, c + begin);
    if (packing_.copies_b)
      return multiply_copying(rows, depth, begin, end, a, b_.at(first, 0), start, c, ldc_,
                              reinterpret_cast<float*>(copies));
    multiply_packed(rows, first, depth, p_.k, begin, end, a, packed_b_, start, c, ldc_);
  }

  template <class Body>
  static void split(const ParallelFor* parallel, int64_t count, int64_t grain, const Body& body) {
    if (count == 0) return;
    if (parallel && count > grain) {
      parallel->run(count, grain, body);
    } else {
      body(0, count);
    }
  }

  const Product p_;
  const Packing packing_;
  const MatrixView<float> a_, b_;
  const MatrixView<float> start_;
  float* const c_;
  const int64_t ldc_;
  float *const packed_a_, *const own_b_;
  const float* const packed_b_;
};

// A column is a row of the transposed product.
Product as_row(const Product& p) { return {!p.transpose_b, !p.transpose_a, 1, p.m, p.k, p.ldb, p.lda}; }
bool is_column(const Product& p) { return p.n == 1 && p.m != 1; }

// What that row is added to; nothing where c is no column, or its elements do not lie together.
template <class T>
std::optional<Addend<T>> addend_of_row(const Product& p, int64_t ldc, Addend<T> addend, T* c) {
  if (!is_column(p) || ldc != 1 || addend.row > 1) return std::nullopt;
  if (!addend.data || addend.row == 1) return Addend<T>{addend.data, 0};
  std::fill_n(c, p.m, *addend.data);
  return Addend<T>{c, 0};
}

// Of so few terms that setting blocks up takes longer than the sums. A row times a transposed matrix sums in
// another order.
bool is_tiny(const Product& p) {
  constexpr int64_t side = 8, terms = 64;
  return p.m <= side && p.n <= side && p.k <= side && p.m * p.n * p.k <= terms && !is_column(p) &&
         !(p.m == 1 && p.transpose_b);
}

void tiny_product(const Product& p, const float* a, const float* b, Addend<float> addend, float* c,
                  int64_t ldc) {
  const int64_t a_row = p.transpose_a ? 1 : p.lda, a_column = p.transpose_a ? p.lda : 1,
                b_row = p.transpose_b ? 1 : p.ldb, b_column = p.transpose_b ? p.ldb : 1;
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j) {
      float sum = 0;
      for (int64_t k = 0; k < p.k; ++k) {
        const float x = a[i * a_row + k * a_column], y = b[k * b_row + j * b_column];
        sum = multiply_add(x, y, sum);
      }
      c[i * ldc + j] = addend.data ? sum + addend.data[i * addend.row + j] : sum;
    }
}

// How a product is cut among threads.
struct Cut {
  int64_t tiles = 1;              // those that pay
  int64_t rows = 1, columns = 1;  // of one
  int64_t across = 1, down = 1;
  bool by_blocks = false;

  Cut(const Product& p, size_t element) {
    const double elements = static_cast<double>(p.n) * static_cast<double>(p.k);
    const double work = std::max(2 * static_cast<double>(p.m) * elements / flops_per_tile,
                                 elements * static_cast<double>(element) / bytes_per_tile);
    tiles = static_cast<int64_t>(std::clamp(work, 1.0, 64.0));
    if (tiles == 1 || p.m == 0 || p.n == 0) {
      tiles = 1;
      return;
    }
    // High tiles: the packed columns are read once for each.
    rows = tile_side(p.m, (p.m + tile_rows - 1) / tile_rows, 2 * block_height<float>());
    columns = tile_side(p.n, std::max<int64_t>(1, tiles * rows / (p.m < smallest_side / 2 ? rows : p.m)), 64);
    across = (p.n + columns - 1) / columns;
    down = (p.m + rows - 1) / rows;
    // A row times a transposed matrix sums in another order.
    by_blocks = across * down < tiles && p.k >= 4 * inner_block &&
                p.m * p.n <= inner_block / 8 * (p.m + p.n) && !(p.m == 1 && p.transpose_b);
  }
};

int64_t block_count(const Product& p) { return (p.k + inner_block - 1) / inner_block; }

// The part of a product over so many elements of the inner dimension.
Product of_depth(Product p, int64_t depth) {
  p.k = depth;
  return p;
}

// What all threads read and write of a product is in the scratch of the thread that calls, at its beginning,
// where it is little: what is shared in the plan lets other products wait for this one.
bool is_callers(size_t bytes) { return bytes <= size_t{1} << 20; }

template <class T>
size_t partial_bytes(const Product& p) {
  return rounded_up(static_cast<size_t>(block_count(p) * p.m * p.n) * sizeof(T));
}

// Σ blocks + addend by stretches, as within one tile; the sums of blocks are written over.
template <class T>
void add_by_stretches(const Product& p, T* partial, Addend<T> addend, T* c, int64_t ldc) {
  constexpr int64_t together = inner_stretch / inner_block;
  const int64_t size = p.m * p.n, blocks = block_count(p);
  for (int64_t first = 0; first < blocks; first += together)
    for (int64_t block = first + 1; block < std::min(first + together, blocks); ++block)
      for (int64_t i = 0; i < size; ++i) partial[first * size + i] += partial[block * size + i];
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j) {
      double sum = addend.data ? static_cast<double>(addend.data[i * addend.row + j]) : 0;
      for (int64_t first = 0; first < blocks; first += together)
        sum += static_cast<double>(partial[first * size + i * p.n + j]);
      c[i * ldc + j] = static_cast<T>(sum);
    }
}

// Where the inner dimension is long beside the others, as in a gradient over all of the data, its blocks are
// the tasks. Their sums are added in the order of the blocks, as within one tile.
template <class T>
void sum_over_blocks(const ParallelFor& parallel, const Product& p, const T* a, const T* b, Addend<T> addend,
                     T* c, int64_t ldc, const Scratch& scratch, const T* packed) {
  const size_t bytes = partial_bytes<T>(p);
  T* const partial = reinterpret_cast<T*>(is_callers(bytes) ? scratch.own(parallel) : scratch.shared);
  const size_t rest = is_callers(bytes) ? bytes : 0;
  parallel.run(block_count(p), 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * inner_block, depth = std::min(inner_block, p.k - first);
      if constexpr (std::is_same_v<T, float>)
        if (packed) {
          MatrixView<float> rows = FloatProduct::view(p.transpose_a, a, p.lda);
          rows.data += first * rows.column;
          multiply_packed<float>(p.m, first, depth, p.k, 0, p.n, rows, packed, {},
                                 partial + block * p.m * p.n, p.n);
          continue;
        }
      gemm_tile<T>(of_depth(p, depth), a + (p.transpose_a ? first * p.lda : first),
                   b + (p.transpose_b ? first : first * p.ldb), {}, partial + block * p.m * p.n, p.n,
                   scratch.own(parallel) + rest);
    }
  });
  if (has_stretches<T>(p)) return add_by_stretches(p, partial, addend, c, ldc);
  for (int64_t i = 0; i < p.m; ++i) {
    T* to = c + i * ldc;
    const T* from = partial + i * p.n;
    if (addend.data) {
      for (int64_t j = 0; j < p.n; ++j) to[j] = addend.data[i * addend.row + j] + from[j];
    } else {
      std::copy_n(from, p.n, to);
    }
    for (int64_t first = inner_block; first < p.k; first += inner_block) {
      from += p.m * p.n;
      for (int64_t j = 0; j < p.n; ++j) to[j] += from[j];
    }
  }
}

}  // namespace gemm_detail

template <class T>
void gemm_tile(const Product& p, const T* a, const T* b, Addend<T> addend, T* c, int64_t ldc,
               std::byte* scratch, const T* packed) {
  using namespace gemm_detail;
  if (p.m == 0 || p.n == 0) return;
  if (const auto row = addend_of_row(p, ldc, addend, c))
    return gemm_tile<T>(as_row(p), b, a, *row, c, p.m, scratch);
  if constexpr (std::is_same_v<T, float>) {
    const FloatProduct product(p, a, b, addend, c, ldc, scratch, packed);
    product.pack(nullptr);
    product.tile(0, p.m, 0, p.n, scratch + Packing(p, packed != nullptr).bytes(p));
  } else {
    blas_tile(p, a, b, addend, c, ldc);
  }
}

template <class T>
size_t gemm_tile_bytes(const Product& p, bool packed) {
  using namespace gemm_detail;
  if (p.m == 0 || p.n == 0 || std::is_same_v<T, double>) return 0;
  const Packing packing(p, packed);
  const size_t bytes = packing.bytes(p) + packing.copied_bytes(p) + sum_bytes(p, p.m, p.n);
  return is_column(p) ? std::max(bytes, gemm_tile_bytes<T>(as_row(p))) : bytes;
}

template <class T>
void gemm(const ParallelFor& parallel, const Product& p, const T* a, const T* b, Addend<T> addend, T* c,
          int64_t ldc, const Scratch& scratch, const T* packed) {
  using namespace gemm_detail;
  if (p.m == 0 || p.n == 0) return;
  if constexpr (std::is_same_v<T, float>)
    if (is_tiny(p)) return tiny_product(p, a, b, addend, c, ldc);
  if (const auto row = addend_of_row(p, ldc, addend, c))
    return gemm<T>(parallel, as_row(p), b, a, *row, c, p.m, scratch);
  const Cut cut(p, sizeof(T));
  if (cut.tiles == 1) return gemm_tile<T>(p, a, b, addend, c, ldc, scratch.own(parallel), packed);
  if (cut.by_blocks) return sum_over_blocks(parallel, p, a, b, addend, c, ldc, scratch, packed);
  const auto each_tile = [&](const auto& compute) {
    parallel.run(cut.across * cut.down, 1, [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t i = tile / cut.across * cut.rows, j = tile % cut.across * cut.columns;
        compute(i, std::min(cut.rows, p.m - i), j, std::min(cut.columns, p.n - j));
      }
    });
  };
  if constexpr (std::is_same_v<T, float>) {
    const size_t bytes = Packing(p, packed != nullptr).bytes(p), rest = is_callers(bytes) ? bytes : 0;
    const FloatProduct product(p, a, b, addend, c, ldc,
                               is_callers(bytes) ? scratch.own(parallel) : scratch.shared, packed);
    product.pack(&parallel);
    each_tile([&](int64_t i, int64_t height, int64_t j, int64_t width) {
      product.tile(i, height, j, j + width, scratch.own(parallel) + rest);
    });
  } else {
    each_tile([&](int64_t i, int64_t height, int64_t j, int64_t width) {
      Product tile = p;
      tile.m = height;
      tile.n = width;
      blas_tile(tile, a + (p.transpose_a ? i : i * p.lda), b + (p.transpose_b ? j * p.ldb : j),
                addend.data ? Addend<T>{addend.data + i * addend.row + j, addend.row} : addend,
                c + i * ldc + j, ldc);
    });
  }
}

template <class T>
Workspace gemm_workspace(const Product& p, bool packed) {
  using namespace gemm_detail;
  const Cut cut(p, sizeof(T));
  size_t common = 0, own = 0;
  if (cut.tiles == 1) {
    own = gemm_tile_bytes<T>(p, packed);
  } else if (cut.by_blocks) {
    common = partial_bytes<T>(p);
    own = std::max(gemm_tile_bytes<T>(of_depth(p, inner_block)),
                   gemm_tile_bytes<T>(of_depth(p, p.k - (block_count(p) - 1) * inner_block)));
  } else if constexpr (std::is_same_v<T, float>) {
    const Packing packing(p, packed);
    common = packing.bytes(p);
    own = packing.copied_bytes(p) + sum_bytes(p, std::min(cut.rows, p.m), std::min(cut.columns, p.n));
  }
  const Workspace result = is_callers(common) ? Workspace{0, common + own} : Workspace{common, own};
  return is_column(p) ? larger(result, gemm_workspace<T>(as_row(p))) : result;
}

template <class T>
std::shared_ptr<const T> pack_b(bool transpose_b, int64_t n, int64_t k, const T* b, int64_t ldb) {
  using namespace gemm_detail;
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

#define LARIAT_GEMM(T)                                                                                  \
  template void gemm_tile<T>(const Product&, const T*, const T*, Addend<T>, T*, int64_t, std::byte*,    \
                             const T*);                                                                 \
  template size_t gemm_tile_bytes<T>(const Product&, bool);                                             \
  template void gemm<T>(const ParallelFor&, const Product&, const T*, const T*, Addend<T>, T*, int64_t, \
                        const Scratch&, const T*);                                                      \
  template Workspace gemm_workspace<T>(const Product&, bool);                                           \
  template std::shared_ptr<const T> pack_b<T>(bool, int64_t, int64_t, const T*, int64_t);
LARIAT_GEMM(float)
LARIAT_GEMM(double)
#undef LARIAT_GEMM

}  // namespace lariat
