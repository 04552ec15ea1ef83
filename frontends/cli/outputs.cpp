#include "frontends/cli/outputs.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "frontends/cli/console.hpp"
#include "frontends/recipe/corpus.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::cli {

bool same_file(const std::string& a, const std::string& b) {
  std::error_code none;
  if (std::filesystem::exists(a, none) && std::filesystem::is_character_file(a, none)) return false;
  const auto first = std::filesystem::weakly_canonical(a, none),
             second = std::filesystem::weakly_canonical(b, none);
  return !first.empty() && first == second;
}

void check_outputs(const std::vector<std::string>& outputs, const std::vector<std::string>& inputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].empty()) continue;
    for (const std::string& input : inputs)
      if (!input.empty() && same_file(outputs[i], input))
        throw UserError(
            fmt::format("'{}' is an input, and would be overwritten; choose another name", outputs[i]));
    for (size_t j = 0; j < i; ++j)
      if (!outputs[j].empty() && same_file(outputs[i], outputs[j]))
        throw UserError(fmt::format("'{}' is asked for twice; give each output its own name", outputs[i]));
    AtomicFile::check(outputs[i]);
  }
}

void check_outputs(const std::vector<std::string>& outputs, const Recipe& recipe, const std::string& folder) {
  if (folder.empty() && recipe.data().path.empty()) return;
  const Corpus data(recipe, folder);
  for (const std::string& output : outputs)
    if (!output.empty() && data.holds(output))
      throw UserError(
          fmt::format("'{}' is one of the data, and would be overwritten; choose another name", output));
}

void JsonFile::write(const Json& figures) const {
  if (file_.empty()) return;
  // File names need not be UTF-8, JSON must be.
  const std::string text = harmless_json(to_text(figures, 1)) + "\n";
  AtomicFile out(file_);
  out.write(text);
  out.commit();
}

}  // namespace lariat::cli
