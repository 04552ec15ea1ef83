#pragma once

#include "graph/op_def.hpp"

namespace lariat {

/// What a product is added to: rows `row` elements apart, 0 for one row that is added to all; nullptr: zeros.
template <class T>
struct Addend {
  const T* data = nullptr;
  int64_t row = 0;
};

/// c = op(a)·op(b) + addend for row-major matrices, op(a) [m, k], op(b) [k, n], c [m, n]; op transposes where
/// the flag is set, ld is the distance between rows in memory. The addend may be c. Cut into tiles that
/// depend on m, n, k only, so that results do not depend on the number of threads. Floats are multiplied by
/// lariat's own kernel (product_kernel.hpp), doubles by single-threaded OpenBLAS. With `packed`, what
/// pack_b() made of b, nothing of b is packed at this call.
template <class T>
void gemm(const ParallelFor& parallel, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          const T* a, int64_t lda, const T* b, int64_t ldb, Addend<T> addend, T* c, int64_t ldc,
          const T* packed = nullptr);

/// The same product as one tile on the calling thread.
template <class T>
void gemm_tile(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda,
               const T* b, int64_t ldb, Addend<T> addend, T* c, int64_t ldc, const T* packed = nullptr);

/// op(b) [k, n] as products of floats read it, for any number of rows. Null where products do not pack: for
/// doubles, and for a single column.
template <class T>
std::shared_ptr<const T> pack_b(bool transpose_b, int64_t n, int64_t k, const T* b, int64_t ldb);

}  // namespace lariat
