#include "frontends/cli/outputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/recipe/corpus.hpp"
#include "frontends/recipe/recipe.hpp"
#include "frontends/report/report.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/ranks/ranks.hpp"

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
  if (std::all_of(outputs.begin(), outputs.end(), [](const std::string& file) { return file.empty(); }))
    return;
  const Corpus data(recipe, folder);
  for (const std::string& output : outputs)
    if (!output.empty() && data.holds(output))
      throw UserError(
          fmt::format("'{}' is one of the data, and would be overwritten; choose another name", output));
}

void check_outputs(std::vector<std::string> outputs, const std::vector<std::string>& inputs,
                   const Recipe& recipe, const std::string& folder, const std::string& model) {
  const std::string beside = is_written_in_place(model) ? std::string() : model;
  std::vector<std::string> folders;
  for (const Callback& callback : recipe.callbacks()) {
    const std::string file = callback.writes_files() ? callback.file_of(beside) : std::string();
    if (file.empty()) continue;
    const bool in_folder = std::any_of(callback.spec.options.begin(), callback.spec.options.end(),
                                       [](const auto& option) { return option.first == "folder"; });
    std::error_code none;
    if (in_folder && std::filesystem::exists(file, none) && !std::filesystem::is_directory(file, none))
      throw UserError(fmt::format("{}folder = {}: is a file; name a folder, or one that is not there yet",
                                  callback.place, file));
    if (in_folder &&
        std::any_of(folders.begin(), folders.end(), [&](const auto& one) { return same_file(one, file); }))
      throw UserError(fmt::format("'{}' is asked for twice; give each output its own name", file));
    (in_folder ? folders : outputs).push_back(file);
  }
  check_outputs(outputs, inputs);
  check_outputs(outputs, recipe, folder);
}

void check_report(const std::string& file) {
  std::error_code none;
  if (file.empty() || is_written_in_place(file) || !std::filesystem::is_regular_file(file, none) ||
      std::filesystem::file_size(file, none) == 0 || reports::is_report(file))
    return;
  throw UserError(fmt::format(
      "'{}' is there and is no report that lariat wrote, so it stays; give --report another name", file));
}

void ReportFile::declare(Arguments& arguments, const std::string& doc) {
  arguments.output("--report", "FILE.html", file_, doc + "; MODEL.report.html where it is not given");
  arguments.flag("--no-report", left_out_, "write no such page");
}

void ReportFile::choose(const std::string& command, const std::string& model) {
  asked_for_ = !file_.empty();
  if (asked_for_ && left_out_)
    throw UsageError(fmt::format("{}: --report {} and --no-report: leave one of them out", command, file_));
  const bool is_first = !ranks_of_process() || ranks_of_process()->rank() == 0;
  if (asked_for_ || left_out_ || !is_first || model.empty() || is_written_in_place(model)) return;
  const std::string beside = model + ".report.html";
  std::error_code none;
  if (std::filesystem::exists(std::filesystem::symlink_status(beside, none)) && !reports::is_report(beside))
    return report(
        fmt::format("'{}' is there and is no report that lariat wrote, so it stays and none is written; "
                    "give --report another name",
                    beside));
  file_ = beside;
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
