#include "benchmarks/zeros/with_lambda.hpp"

#include <fmt/format.h>

#include "frontends/spec/weight_penalty.hpp"
#include "graph/base/error.hpp"

namespace lariat::benchmarks {

Recipe with_lambda(Recipe recipe, double lambda) {
  std::vector<std::pair<std::string, std::string>> settings;
  const auto layers = recipe.layers();
  for (size_t i = 0; i < layers.size(); ++i)
    for (const auto& [name, text] : layers[i].options)
      if (name.ends_with("_penalty"))
        if (const WeightPenalty penalty = parse_weight_penalty(name, text); penalty.makes_zeros())
          settings.emplace_back(fmt::format("layers.{}.{}", i, name), to_text(penalty.at(lambda)));
  if (settings.empty())
    throw UserError("no layer of the recipe has a penalty that makes zeros; give one, such as l1=1e-4");
  recipe.set(settings);
  return recipe;
}

}  // namespace lariat::benchmarks
