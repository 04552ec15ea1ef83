#pragma once

#include "graph/op_def.hpp"

namespace lariat {

/// c = op(a)·op(b) + beta·c for row-major matrices, op(a) [m, k], op(b) [k, n], c [m, n]; op transposes where
/// the flag is set, ld is the distance between rows in memory, and beta is 0 or 1. Cut into tiles that depend
/// on m, n, k only, so that results do not depend on the number of threads. Floats are multiplied by lariat's
/// own kernel (product_kernel.hpp), doubles by single-threaded OpenBLAS.
template <class T>
void gemm(const ParallelFor& parallel, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          const T* a, int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc);

/// The same product as one tile on the calling thread.
template <class T>
void gemm_tile(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda,
               const T* b, int64_t ldb, T beta, T* c, int64_t ldc);

}  // namespace lariat
