#pragma once

#include "ops/kernels/gemm.hpp"

namespace lariat {

/// A constant matrix b [inner, columns] without its zeros. What is left lies by blocks of inner_block rows
/// and, within a block, by columns.
struct SparseColumns {
  int64_t inner = 0, columns = 0;
  /// Where each block's columns begin: [blocks·columns + 1].
  std::vector<int32_t> starts;
  /// The columns of each block, those of one task by the number of their values: sums that run side by side
  /// are then of one length.
  std::vector<int32_t> order;
  /// The row within the block, and the value.
  std::vector<uint16_t> places;
  std::vector<float> values;
};

/// op(b) [k, n] in that form. Null where so little of it is zero that the dense product is the faster one.
std::shared_ptr<const SparseColumns> pack_sparse(bool transpose_b, int64_t n, int64_t k, const float* b,
                                                 int64_t ldb);

/// Whether a product of so many rows is faster with it than with all elements.
bool sparse_pays(const SparseColumns& b, int64_t m);

/// c [m, n] = a [m, k]·b + addend, a's rows lda elements apart; the addend may be c. Every element is the
/// chain of multiply-adds that gemm() computes, without the terms of zeros: for finite a, the same bits. The
/// work is cut by shape alone, so that they do not depend on the number of threads either.
void multiply_sparse(const ParallelFor& parallel, int64_t m, const float* a, int64_t lda,
                     const SparseColumns& b, Addend<float> addend, float* c, int64_t ldc,
                     const Scratch& scratch);
Workspace sparse_workspace(int64_t m);

}  // namespace lariat
