#pragma once

#include <memory>

#include "ops/kernels/coded_product.hpp"
#include "ops/kernels/sparse_product.hpp"

namespace lariat {

/// A constant matrix op(b) [k, n] on the right of products, in the forms that pay: without its zeros for some
/// numbers of rows or all, and for the others as bytes, or else as gemm() reads it. All give the same bits.
struct PackedMatrix {
  std::shared_ptr<const SparseMatrix> sparse;
  std::shared_ptr<const CodedMatrix> coded;
  std::shared_ptr<const float> dense;

  PackedMatrix() = default;
  PackedMatrix(bool transpose_b, int64_t n, int64_t k, const float* b, int64_t ldb);
  bool is_empty() const { return !sparse && !coded && !dense; }

  /// The product of gemm(), whose b this was made of.
  void multiply(const ParallelFor& parallel, const Product& product, const float* a, const float* b,
                Addend<float> addend, float* c, int64_t ldc, const Scratch& scratch) const;
  Workspace workspace(const Product& product) const;
  /// That of gemm_tile(), with scratch of tile_bytes() for a product of as many rows or more.
  void multiply_tile(const Product& product, const float* a, const float* b, Addend<float> addend, float* c,
                     int64_t ldc, std::byte* scratch) const;
  size_t tile_bytes(const Product& product) const;

 private:
  // The sparse form where that is the fastest for so many rows.
  const SparseMatrix* sparse_for(int64_t m) const {
    return sparse && sparse_pays(*sparse, m) ? sparse.get() : nullptr;
  }
};

}  // namespace lariat
