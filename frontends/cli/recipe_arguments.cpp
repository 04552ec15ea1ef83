#include "frontends/cli/recipe_arguments.hpp"

#include <fmt/format.h>

namespace lariat::cli {

void RecipeArguments::declare(Arguments& arguments, bool required) {
  arguments.input_word("RECIPE.toml", file, "data, features, layers, optimizer and training", required);
  arguments.option("--data", "DIR", data, "the folder of the data, instead of the recipe's");
  arguments.repeated("--set", "KEY=VALUE", settings, "change a key of the recipe, such as training.epochs=5");
}

Recipe RecipeArguments::recipe(const std::string& command) {
  if (file.empty())
    throw UsageError(fmt::format("{}: RECIPE.toml is missing. See {} --help", command, command));
  written_ = Recipe::read(file);
  Recipe recipe = Recipe::parse(written_, file);
  std::vector<std::pair<std::string, std::string>> keys;
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0)
      throw UsageError(
          fmt::format("{}: --set {}: write key=value, such as --set training.epochs=5", command, setting));
    keys.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
  recipe.set(keys);
  return recipe;
}

std::string RecipeArguments::text() const {
  std::string text = written_;
  for (const std::string& setting : settings) text += fmt::format("\n# --set {}", setting);
  return text;
}

}  // namespace lariat::cli
