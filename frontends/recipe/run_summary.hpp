#pragma once

#include "frontends/recipe/recipe.hpp"

namespace lariat {

/// What is known of a training afterwards, from what it wrote.
struct RunSummary {
  /// As it was named, and the shortest name that tells it from others.
  std::string path, name;
  /// None of a model that no recipe trained.
  std::optional<Recipe> recipe = std::nullopt;
  std::string task = {};
  /// "accuracy", "loss"… of the test and of the validation split; empty where they were not measured.
  MetricValues test = {}, validation = {};
  /// Exact zeros, and those among weights with a penalty that makes zeros.
  Sparsity weights = {}, penalised = {};
  /// Of the model file; 0 where there is none.
  int64_t bytes = 0;
  std::vector<EpochReport> history = {};
  /// Of training; 0 where it is not known.
  double seconds = 0;
};

/// Reads a run: the figures that `lariat train --json` wrote, a model, of which MODEL.checkpoint beside it
/// knows the epochs, or a folder that holds one run as such files. Throws UserError naming what is no run.
RunSummary read_run(const std::string& path);
/// Several, with names that differ.
std::vector<RunSummary> read_runs(const std::vector<std::string>& paths);

/// A key of recipes in which runs differ, and its value in each; "" where it has no such key.
struct Difference {
  std::string key;
  std::vector<std::string> values;
};
/// In the order of recipes; where data lie does not count.
std::vector<Difference> differences(const std::vector<RunSummary>& runs);

}  // namespace lariat
