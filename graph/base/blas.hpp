#pragma once

#include <cstdint>

namespace lariat {

/// Makes OpenBLAS run on the thread that calls it: on two it gives other bits than on one, and lariat does
/// the threading. To be called before the first product or factorisation.
void use_one_blas_thread();

/// C = A·B + beta·C, row by row, with A of m × k and B of k × n after transposition; ld is the distance of
/// rows.
void blas_product(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const double* a,
                  int64_t lda, const double* b, int64_t ldb, double beta, double* c, int64_t ldc);

}  // namespace lariat
