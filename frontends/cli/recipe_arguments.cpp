#include "frontends/cli/recipe_arguments.hpp"

#include <fmt/format.h>

#include "frontends/sequential/model_file.hpp"

namespace lariat::cli {

namespace {

// A length of eight bytes and a header in braces are no TOML.
bool is_model(const std::string& bytes) { return bytes.size() > 8 && bytes[7] == 0 && bytes[8] == '{'; }

Recipe recipe_of_model(const std::string& file) {
  const Store store = Store::load(file);
  check_format(store, model_format, file);
  return Recipe::from_json(note_of(store, "recipe", file));
}

}  // namespace

void RecipeArguments::declare(Arguments& arguments, bool required) {
  arguments.input_word(
      "RECIPE.toml", file,
      "data, features, layers, optimizer and training; or a model, whose own recipe is taken", required);
  arguments.option("--data", "DIR", data, "the folder of the data, instead of the recipe's");
  arguments.repeated("--set", "KEY=VALUE", settings, "change a key of the recipe, such as training.epochs=5");
}

Recipe RecipeArguments::recipe(const std::string& command) {
  if (file.empty())
    throw UsageError(fmt::format("{}: RECIPE.toml is missing. See {} --help", command, command));
  written_ = Recipe::read(file);
  Recipe recipe = is_model(written_) ? recipe_of_model(file) : Recipe::parse(written_, file);
  if (is_model(written_)) written_ = recipe.to_json();
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
