#pragma once

#include <optional>
#include <string>

#include "autodiff/convex/column_matrix.hpp"
#include "autodiff/convex/separable_penalty.hpp"

namespace lariat::convex {

/// f(w) = Σ_i ℓ_i(z_i) with z = X·w + offset: all that coordinate descent and a duality gap need to know.
struct LinearModel {
  ColumnMatrix matrix = {};  ///< a column for each coordinate
  std::vector<double> offset = {};
  Value prediction = {};  ///< z, the value through which alone the parameters reach the loss
};

struct LinearModelSearch {
  std::optional<LinearModel> model;
  /// Why there is none, and where.
  std::string reason;
};

/// Looks for a value that is affine in the parameters, by a product with a constant matrix, through which
/// alone they reach `loss`, each of its elements by itself. Paths through the nodes in `cut` do not count.
LinearModelSearch find_linear_model(Value loss, const Coordinates& coordinates, std::span<const Value> cut);

}  // namespace lariat::convex
