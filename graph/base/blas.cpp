#include "graph/base/blas.hpp"

// Not cblas.h: OpenBLAS's and that of xtensor-blas declare the same functions differently.
extern "C" {
void openblas_set_num_threads(int count);
void dgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n, const int* k,
            const double* alpha, const double* a, const int* lda, const double* b, const int* ldb,
            const double* beta, double* c, const int* ldc);
}

namespace lariat {

void use_one_blas_thread() {
  static const bool done = [] {
    openblas_set_num_threads(1);
    return true;
  }();
  (void)done;
}

void blas_product(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const double* a,
                  int64_t lda, const double* b, int64_t ldb, double beta, double* c, int64_t ldc) {
  use_one_blas_thread();
  const auto flag = [](bool transposed) { return transposed ? "T" : "N"; };
  const int rows = static_cast<int>(m), columns = static_cast<int>(n), inner = static_cast<int>(k);
  const int a_row = static_cast<int>(lda), b_row = static_cast<int>(ldb), c_row = static_cast<int>(ldc);
  const double one = 1;
  // Row by row, the product is its transpose column by column: Cᵀ = Bᵀ·Aᵀ.
  dgemm_(flag(transpose_b), flag(transpose_a), &columns, &rows, &inner, &one, b, &b_row, a, &a_row, &beta, c,
         &c_row);
}

}  // namespace lariat
