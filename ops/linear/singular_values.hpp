#pragma once

#include <span>

#include "graph/ir/op_def.hpp"

namespace lariat {

/// x = U·diag(s)·Vᵀ in double, by LAPACK's divide and conquer (dgesdd); k = min(m, n) singular values,
/// falling.
struct SingularValues {
  int64_t rows = 0, columns = 0;
  std::span<double> values, u, vt;  // u [m, k] and vt [k, n], column by column
  /// An element of x is NaN or infinite: there are no values.
  bool undefined = false;

  /// Σ uₖ·shrunkₖ·vₖᵀ over the first values, as a row-major matrix, which takes the place of what x was. Uses
  /// up u.
  std::span<const double> product(std::span<const double> shrunk);

 private:
  friend SingularValues singular_values(const TensorView& x, std::byte* scratch);
  std::span<double> matrix;
};

/// The decomposition of a matrix of f32 or f64 that has elements, in scratch of singular_values_bytes().
SingularValues singular_values(const TensorView& x, std::byte* scratch);
size_t singular_values_bytes(int64_t rows, int64_t columns);
/// A record's `workspace` where input 0 is decomposed.
Workspace singular_values_workspace(const KernelContext& k);

/// Throws UserError unless input `index`, called `name`, is a matrix of f32 or f64.
void check_matrix(const InferContext& c, size_t index, std::string_view name);

}  // namespace lariat
