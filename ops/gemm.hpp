#pragma once

#include "graph/op_def.hpp"

namespace lariat {

/// c = op(a)·op(b) + beta·c for row-major matrices, op(a) [m, k], op(b) [k, n], c [m, n]; op transposes where
/// the flag is set, and ld is the distance between rows in memory. Cut into tiles that depend on m, n, k
/// only, each computed by single-threaded OpenBLAS, so that results do not depend on the number of threads.
template <class T>
void gemm(const ParallelFor& parallel, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          const T* a, int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc);

/// The same product as one tile on the calling thread.
template <class T>
void gemm_tile(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda,
               const T* b, int64_t ldb, T beta, T* c, int64_t ldc);

}  // namespace lariat
