#pragma once

#include "frontends/recipe/recipe.hpp"

namespace lariat::benchmarks {

/// The recipe with that coefficient on every penalty of a layer that makes zeros. Throws UserError where
/// there is none.
Recipe with_lambda(Recipe recipe, double lambda);

}  // namespace lariat::benchmarks
