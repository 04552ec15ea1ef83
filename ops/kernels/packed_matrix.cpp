#include "ops/kernels/packed_matrix.hpp"

#include <algorithm>

namespace lariat {

PackedMatrix::PackedMatrix(bool transpose_b, int64_t n, int64_t k, const float* b, int64_t ldb)
    : sparse(pack_sparse(transpose_b, n, k, b, ldb)) {
  if (sparse && sparse_always_pays(*sparse)) return;
  if (!transpose_b) coded = pack_coded(n, k, b, ldb);
  if (!coded) dense = pack_b(transpose_b, n, k, b, ldb);
}

void PackedMatrix::multiply(const ParallelFor& parallel, const Product& p, const float* a, const float* b,
                            Addend<float> addend, float* c, int64_t ldc, const Scratch& scratch) const {
  if (const SparseMatrix* found = sparse_for(p.m))
    return multiply_sparse(parallel, p.m, a, p.lda, *found, addend, c, ldc, scratch);
  if (coded) return multiply_coded(parallel, p.m, a, p.lda, *coded, addend, c, ldc, scratch);
  gemm<float>(parallel, p, a, b, addend, c, ldc, scratch, dense.get());
}

Workspace PackedMatrix::workspace(const Product& p) const {
  if (sparse_for(p.m)) return sparse_workspace(p.m);
  return coded ? coded_workspace(p.m) : gemm_workspace<float>(p, dense != nullptr);
}

void PackedMatrix::multiply_tile(const Product& p, const float* a, const float* b, Addend<float> addend,
                                 float* c, int64_t ldc, std::byte* scratch) const {
  if (const SparseMatrix* found = sparse_for(p.m))
    return multiply_sparse_tile(p.m, a, p.lda, *found, addend, c, ldc, scratch);
  if (coded) return multiply_coded_columns(p.m, a, p.lda, *coded, 0, p.n, addend, c, ldc, scratch);
  gemm_tile<float>(p, a, b, addend, c, ldc, scratch, dense.get());
}

size_t PackedMatrix::tile_bytes(const Product& p) const {
  const size_t others = coded ? coded_workspace(p.m).per_thread : gemm_tile_bytes<float>(p, dense != nullptr);
  return sparse ? std::max(others, sparse_workspace(p.m).per_thread) : others;
}

}  // namespace lariat
