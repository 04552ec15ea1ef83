#pragma once

#include <span>
#include <vector>

#include "autodiff/convex/column_matrix.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat::convex {

/// XᵀDX of some columns, row-major and in full. The bits do not depend on the number of threads.
class Gram {
 public:
  Gram() = default;
  /// Of the columns `set`, which ascends; what `known`, of the columns `known_set` with the same D, holds of
  /// it is taken from there.
  Gram(const ColumnMatrix& matrix, std::span<const int64_t> set, std::span<const double> curvature,
       const Gram& known, std::span<const int64_t> known_set, const ParallelFor& parallel);
  /// The rows and columns `places` of another.
  Gram(const Gram& whole, std::span<const int64_t> places);

  int64_t size() const { return size_; }
  const double* row(int64_t k) const { return values_.data() + k * size_; }
  double at(int64_t i, int64_t j) const { return values_[i * size_ + j]; }

 private:
  int64_t size_ = 0;
  std::vector<double> values_;
};

/// Keeps XᵀDX as long as D stays the same, as it does for a squared loss.
class GramCache {
 public:
  Gram get(const ColumnMatrix& matrix, std::span<const int64_t> set, std::span<const double> curvature,
           const ParallelFor& parallel);

 private:
  std::vector<double> curvature_;
  std::vector<int64_t> set_;
  Gram gram_;
};

/// Solves the symmetric positive definite a·x = b by Cholesky's method; a is row-major [n, n] and
/// overwritten, b holds `count` right-hand sides one after the other. False where a is not positive definite.
bool solve_positive(std::vector<double>& a, std::vector<double>& b, int count = 1);

}  // namespace lariat::convex
