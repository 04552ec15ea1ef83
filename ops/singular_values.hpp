#pragma once

#include <vector>

#include "graph/op_def.hpp"

namespace lariat {

/// x = U·diag(s)·Vᵀ in double, by LAPACK's divide and conquer (dgesdd); k = min(m, n) singular values,
/// falling.
struct SingularValues {
  int64_t rows = 0, columns = 0;
  std::vector<double> values, u, vt;  // u [m, k] and vt [k, n], column by column
  /// An element of x is NaN or infinite: there are no values.
  bool undefined = false;

  /// Σ uₖ·shrunkₖ·vₖᵀ over the first values, as a row-major matrix.
  std::vector<double> product(const std::vector<double>& shrunk) const;
};

/// The decomposition of a matrix of f32 or f64 that has elements.
SingularValues singular_values(const TensorView& x);

/// Throws UserError unless input `index`, called `name`, is a matrix of f32 or f64.
void check_matrix(const InferContext& c, size_t index, std::string_view name);

}  // namespace lariat
