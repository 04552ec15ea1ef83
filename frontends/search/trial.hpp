#pragma once

#include "frontends/recipe/run.hpp"
#include "frontends/search/range.hpp"

namespace lariat::search {

/// As Optuna numbers them.
enum class TrialState { running = 0, complete = 1, pruned = 2, failed = 3 };

/// A trial, or one fold of it: what comes out is decided by these alone, wherever and beside whatever else it
/// runs.
struct TrialTask {
  /// With the values that are tried.
  Recipe recipe;
  /// What is scored on; nothing: the recipe's validation split.
  std::optional<data::FoldChoice> fold = std::nullopt;
  /// Of the training.
  uint64_t seed = 0;
  /// "loss" or the name of a metric.
  std::string score = "loss";
  /// Weights to begin with; nullptr: random ones.
  const Store* start = nullptr;
};

/// What came out.
struct TrialScore {
  double score = 0;
  /// The share of exact zeros among the weights with a penalty that makes them, or among all where there is
  /// none.
  double zeros = 0;
  double seconds = 0;
  /// The parameters.
  Store weights = {};
};

/// Where and how it is computed.
struct TrialContext {
  /// The folder of the data; empty: the recipe's.
  std::string data = {};
  /// 0: what the machine allows. The score is the same for every number.
  int threads = 0;
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const StepReport&)> on_step = {};
};

/// Trains and scores; the test data are not read. Nothing where it was stopped. Throws JobError where the
/// training diverges or the score is no number, UserError where the recipe and the data do not fit or nothing
/// of that name is measured.
std::optional<TrialScore> run_trial(const TrialTask& task, const TrialContext& context);

/// The weights that the task's training ends with; nothing where it was stopped.
std::optional<Store> run_training(const TrialTask& task, const TrialContext& context);

/// The score that a recipe has where none is named: accuracy where classes or labels are learned, else the
/// loss.
std::string usual_score(const Recipe& recipe);
/// A figure of validation data that a callback or schedule of the recipe goes by.
struct WatchedFigure {
  std::string place, name;
  /// Whether the recipe names it, and whether training depends on it.
  bool by_name = false, steers = false;
};
std::vector<WatchedFigure> watched_figures(const Recipe& recipe);
/// Whether trials of so many folds keep one that their callbacks watch, beside that which they are scored on:
/// of two folds there would be none to train on.
bool watches_own_fold(const Recipe& recipe, int64_t folds);
/// Throws UserError where the recipe names a figure of validation data, and sets none apart.
void check_winner(const Recipe& winning, const TrialContext& context);
/// Throws UserError where losses are to be compared whose unit changes with what is tried.
void check_units(const std::vector<Range>& ranges, const Recipe& recipe, const std::string& score);
/// Whether a larger score is a better one: not of losses and errors.
bool larger_is_better(const std::string& score);
/// The recipe with the metric among those that are measured. Throws UserError for a name that is no metric's,
/// with the nearest one.
Recipe measuring(Recipe recipe, const std::string& score);

}  // namespace lariat::search
