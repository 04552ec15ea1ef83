#pragma once

#include "frontends/cli/arguments.hpp"
#include "frontends/recipe/recipe.hpp"

namespace lariat::cli {

/// RECIPE.toml, --data and --set, as the commands that start from a recipe have them.
struct RecipeArguments {
  std::string file, data;
  Strings settings;

  void declare(Arguments& arguments, bool required = true);
  /// The recipe with its settings. Throws UsageError for a missing recipe or malformed setting; `command` is
  /// named then.
  Recipe recipe(const std::string& command);
  /// The file as recipe() read it, with the settings as comments behind it.
  std::string text() const;

 private:
  std::string written_;
};

}  // namespace lariat::cli
