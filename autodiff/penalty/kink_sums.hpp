#pragma once

#include "autodiff/penalty/element_functions.hpp"
#include "autodiff/penalty/signs.hpp"

namespace lariat {

/// A kinked value once more as slope·x + shift + Σ weights·(|x - at|, max(x - at, 0), max(at - x, 0) or
/// [x ≠ at]), times -1 where it is concave; kinks below 0 are left out of functions of what is 0 or more.
/// Empty where it is neither convex nor concave, leaps, or is such a sum already. A bare comparison is left
/// alone unless `comparisons`.
Value as_kinks(Value root, ElementFunctions& functions, Signs& signs, bool comparisons);

}  // namespace lariat
