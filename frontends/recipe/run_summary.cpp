#include "frontends/recipe/run_summary.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "frontends/data/labelled_rows.hpp"
#include "frontends/linear/saved_linear.hpp"
#include "frontends/recipe/checkpoint.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "frontends/speech/clips.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat {

namespace {

namespace fs = std::filesystem;

MetricValues metrics_in(const Json& object) {
  MetricValues metrics;
  for (const auto& [name, value] : object.items())
    if (value.is_number() && name != "examples") metrics.emplace_back(name, value.get<double>());
  return metrics;
}

Sparsity zeros_in(const Json& tensors, bool penalised_only) {
  Sparsity sum;
  for (const Json& tensor : tensors) {
    if (penalised_only && !tensor.at("penalised").get<bool>()) continue;
    sum.zeros += tensor.at("zeros").get<int64_t>();
    sum.count += tensor.at("count").get<int64_t>();
  }
  return sum;
}

// The figures of a training, or a discarded value.
Json figures_in(const std::string& file) {
  const Json json = parse_json(data::read_whole_file(file));
  const bool is_run = json.is_object() && json.contains("recipe") && json.contains("history");
  return is_run ? json : Json(Json::value_t::discarded);
}

RunSummary run_of_figures(const Json& json, const std::string& file) {
  try {
    RunSummary run{.path = file, .name = {}};
    run.recipe = Recipe::from_json(json.at("recipe").dump());
    run.task = json.at("task").get<std::string>();
    if (json.contains("test")) run.test = metrics_in(json.at("test"));
    if (json.contains("validation")) run.validation = metrics_in(json.at("validation"));
    run.weights = zeros_in(json.at("tensors"), false);
    run.penalised = zeros_in(json.at("tensors"), true);
    run.bytes = json.value("model_bytes", int64_t{0});
    for (const Json& epoch : json.at("history")) run.history.push_back(epoch_report_from_json(epoch.dump()));
    run.seconds = json.at("seconds").get<double>();
    return run;
  } catch (const Json::exception&) {
    throw UserError(
        fmt::format("'{}' lacks figures of a training; write it again by lariat train --json", file));
  }
}

RunSummary run_of_model(const std::string& file) {
  std::error_code none;
  RunSummary run{.path = file, .name = {}};
  run.bytes = static_cast<int64_t>(fs::file_size(file, none));
  const Store store = Store::load(file);
  if (SavedLinear::is_one(store)) {
    run.weights = run.penalised = sparsity(SavedLinear::of(store, file).parameters().get("w"));
    run.task = "linear";
    return run;
  }
  SavedModel model = SavedModel::of(store, file);
  if (model.has_recipe()) run.recipe = model.recipe();
  run.task = model.model().network().task->name;
  const std::vector<TensorZeros> tensors = model.model().zeros();
  run.weights = total(tensors);
  run.penalised = total(tensors, true);
  const Json measured = parse_json(model.note("measured"));
  if (measured.is_object()) {
    if (measured.contains("test")) run.test = metrics_in(measured["test"]);
    if (measured.contains("validation")) run.validation = metrics_in(measured["validation"]);
  }
  const std::string checkpoint = file + ".checkpoint";
  if (!fs::exists(checkpoint, none)) return run;
  run.history = Checkpoint::load(checkpoint).history;
  for (const EpochReport& epoch : run.history) run.seconds += epoch.seconds;
  return run;
}

// The one file of a folder that is a run.
std::string run_in(const std::string& folder) {
  std::vector<std::string> figures, models;
  for (const std::string& file : speech::entries_of(folder)) {
    if (file.ends_with(".json") && !figures_in(file).is_discarded()) figures.push_back(file);
    if (file.ends_with(".safetensors")) models.push_back(file);
  }
  const std::vector<std::string>& found = figures.empty() ? models : figures;
  if (found.size() == 1) return found.front();
  std::vector<std::string> names;
  for (const std::string& file : found) names.push_back(fs::path(file).filename().string());
  std::sort(names.begin(), names.end());
  throw UserError(
      found.empty() ? fmt::format("'{}' holds no run: neither a model (.safetensors) nor what lariat train "
                                  "--json wrote",
                                  folder)
                    : fmt::format("'{}' holds several runs: {}; name them", folder, fmt::join(names, ", ")));
}

// {"layers.0.units": "64", …}.
std::vector<std::pair<std::string, std::string>> flattened(const Recipe& recipe) {
  std::vector<std::pair<std::string, std::string>> keys;
  const auto add = [&](const std::string& place, const Json& object) {
    for (const auto& [name, value] : object.items())
      keys.emplace_back(place + "." + name, value.is_string() ? value.get<std::string>() : value.dump());
  };
  const Json all = parse_json(recipe.to_json());
  for (const auto& [name, table] : all.items()) {
    if (name == "search") continue;
    if (table.is_array()) {
      for (size_t i = 0; i < table.size(); ++i) add(fmt::format("{}.{}", name, i), table[i]);
    } else {
      add(name, table);
    }
  }
  return keys;
}

}  // namespace

RunSummary read_run(const std::string& path) {
  std::error_code none;
  if (!fs::exists(path, none))
    throw UserError(fmt::format(
        "there is no run '{}'; name a model, what lariat train --json wrote, or their folder", path));
  const std::string file = fs::is_directory(path, none) ? run_in(path) : path;
  if (file.ends_with(".safetensors")) {
    RunSummary run = run_of_model(file);
    run.path = path;
    return run;
  }
  const std::string bytes = data::read_whole_file(file);
  if (bytes.starts_with("{")) {
    const Json json = figures_in(file);
    if (json.is_discarded())
      throw UserError(fmt::format(
          "'{}' is no run: it has no recipe and no epochs, as lariat train --json writes them", file));
    RunSummary run = run_of_figures(json, file);
    run.path = path;
    return run;
  }
  RunSummary run = run_of_model(file);
  run.path = path;
  return run;
}

std::vector<RunSummary> read_runs(const std::vector<std::string>& paths) {
  std::vector<RunSummary> runs;
  for (const std::string& path : paths) runs.push_back(read_run(path));
  // The last parts of each path, as many as tell all apart.
  for (size_t parts = 1; parts < 20; ++parts) {
    for (RunSummary& run : runs) {
      const fs::path whole = fs::path(run.path).lexically_normal();
      std::vector<std::string> names;
      for (const fs::path& part : whole)
        if (!part.empty()) names.push_back(part.string());
      const size_t first = names.size() - std::min(parts, names.size());
      run.name = fmt::format("{}", fmt::join(names.begin() + static_cast<int64_t>(first), names.end(), "/"));
      for (const char* ending : {".safetensors", ".json"})
        if (run.name.ends_with(ending)) run.name.resize(run.name.size() - std::string_view(ending).size());
    }
    std::vector<std::string> names;
    for (const RunSummary& run : runs) names.push_back(run.name);
    std::sort(names.begin(), names.end());
    if (std::adjacent_find(names.begin(), names.end()) == names.end()) return runs;
  }
  for (RunSummary& run : runs) run.name = run.path;
  return runs;
}

std::vector<Difference> differences(const std::vector<RunSummary>& runs) {
  std::vector<Difference> all;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].recipe) continue;
    for (const auto& [key, value] : flattened(*runs[i].recipe)) {
      if (key == "data.path") continue;
      const std::string& name = key;
      auto found = std::find_if(all.begin(), all.end(),
                                [&](const Difference& difference) { return difference.key == name; });
      if (found == all.end()) found = all.insert(all.end(), {key, std::vector<std::string>(runs.size())});
      found->values[i] = value;
    }
  }
  std::erase_if(all, [&](const Difference& difference) {
    for (size_t i = 0; i < runs.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        if (runs[i].recipe && runs[j].recipe && difference.values[i] != difference.values[j]) return false;
    return true;
  });
  return all;
}

}  // namespace lariat
