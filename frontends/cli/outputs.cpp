#include "frontends/cli/outputs.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "frontends/cli/console.hpp"
#include "frontends/recipe/corpus.hpp"
#include "graph/atomic_file.hpp"
#include "graph/error.hpp"

namespace lariat::cli {

namespace {

bool is_file(const std::string& name) { return !name.empty() && name != "-"; }

}  // namespace

bool same_file(const std::string& a, const std::string& b) {
  std::error_code none;
  if (std::filesystem::exists(a, none) && !std::filesystem::is_regular_file(a, none)) return false;
  const auto first = std::filesystem::weakly_canonical(a, none),
             second = std::filesystem::weakly_canonical(b, none);
  return !first.empty() && first == second;
}

void check_outputs(const std::vector<std::string>& outputs, const std::vector<std::string>& inputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!is_file(outputs[i])) continue;
    for (const std::string& input : inputs)
      if (is_file(input) && same_file(outputs[i], input))
        throw UserError(
            fmt::format("'{}' is an input, and would be overwritten; choose another name", outputs[i]));
    for (size_t j = 0; j < i; ++j)
      if (is_file(outputs[j]) && same_file(outputs[i], outputs[j]))
        throw UserError(fmt::format("'{}' is asked for twice; give each output its own name", outputs[i]));
    const AtomicFile probe(outputs[i]);
  }
}

void check_outputs(const std::vector<std::string>& outputs, const Recipe& recipe, const std::string& folder) {
  if (folder.empty() && recipe.data().path.empty()) return;
  const Corpus data(recipe.data(), recipe.table("data").kind, folder);
  for (const std::string& output : outputs)
    if (is_file(output) && data.holds(output))
      throw UserError(
          fmt::format("'{}' is one of the data, and would be overwritten; choose another name", output));
}

JsonFile::JsonFile(std::string file) : file_(std::move(file)) {
  if (file_ == "-") silence_results();
}

void JsonFile::write(const nlohmann::ordered_json& figures) const {
  if (file_.empty()) return;
  // File names need not be UTF-8, JSON must be.
  const std::string text =
      figures.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (file_ == "-") return print_json(text);
  AtomicFile out(file_);
  out.write(text);
  out.commit();
}

}  // namespace lariat::cli
