#pragma once

#include "graph/ir/op_def.hpp"

namespace lariat {

/// What a product is added to: rows `row` elements apart, 0 for one row that is added to all; nullptr: zeros.
template <class T>
struct Addend {
  const T* data = nullptr;
  int64_t row = 0;
};

/// op(a)·op(b) for row-major matrices, op(a) [m, k], op(b) [k, n]; op transposes where the flag is set, ld is
/// the distance between rows in memory.
struct Product {
  bool transpose_a = false, transpose_b = false;
  int64_t m = 0, n = 0, k = 0;
  int64_t lda = 0, ldb = 0;
};

/// c = op(a)·op(b) + addend, c [m, n]; the addend may be c. Cut into tiles that depend on m, n, k only, so
/// that results do not depend on the number of threads. Over a long inner dimension, floats are added up as
/// doubles from stretch to stretch. Floats are multiplied by lariat's own kernel
/// (product_kernel.hpp), doubles by single-threaded OpenBLAS. With `packed`, what pack_b() made of b, nothing
/// of b is packed at this call. `scratch` is of gemm_workspace().
template <class T>
void gemm(const ParallelFor& parallel, const Product& product, const T* a, const T* b, Addend<T> addend, T* c,
          int64_t ldc, const Scratch& scratch, const T* packed = nullptr);
template <class T>
Workspace gemm_workspace(const Product& product, bool packed = false);

/// The same product as one tile on the calling thread, with scratch of gemm_tile_bytes().
template <class T>
void gemm_tile(const Product& product, const T* a, const T* b, Addend<T> addend, T* c, int64_t ldc,
               std::byte* scratch, const T* packed = nullptr);
template <class T>
size_t gemm_tile_bytes(const Product& product, bool packed = false);

/// op(b) [k, n] as products of floats read it, for any number of rows. Null where products do not pack: for
/// doubles, and for a single column.
template <class T>
std::shared_ptr<const T> pack_b(bool transpose_b, int64_t n, int64_t k, const T* b, int64_t ldb);

/// What products with a constant matrix of a form of its own share: a [m, k], rows lda elements apart, and
/// where its product, added to, goes. They go through the inner dimension in blocks.
struct ProductByBlocks {
  int64_t m;
  const float* a;
  int64_t lda;
  Addend<float> addend;
  float* c;
  int64_t ldc;

  /// What a block's sums are added to: the addend, then what the blocks before it made; null: nothing.
  const float* start(bool is_first, int64_t row, int64_t column) const {
    if (!is_first) return c + row * ldc + column;
    return addend.data ? addend.data + row * addend.row + column : nullptr;
  }
};

/// What two uses of the same scratch need, one after the other.
inline Workspace larger(Workspace a, Workspace b) {
  return {std::max(a.shared, b.shared), std::max(a.per_thread, b.per_thread)};
}

/// Scratch of one's own, for products outside of kernels.
class OwnScratch {
 public:
  OwnScratch(Workspace workspace, int threads)
      : stride_((workspace.per_thread + 63) / 64 * 64),
        shared_((workspace.shared + 63) / 64 * 64),
        memory_(allocate_bytes(shared_ + stride_ * static_cast<size_t>(threads))) {}
  operator Scratch() const { return {memory_.get(), memory_.get() + shared_, stride_}; }

 private:
  size_t stride_, shared_;
  std::shared_ptr<std::byte> memory_;
};

}  // namespace lariat
