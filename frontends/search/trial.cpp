#include "frontends/search/trial.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "frontends/data/foreign_names.hpp"
#include "graph/base/error.hpp"

namespace lariat::search {

namespace {

double score_of(const Evaluation& evaluation, const std::string& name) {
  if (name == "loss") return evaluation.loss;
  if (name == "accuracy" && !std::isnan(evaluation.accuracy)) return evaluation.accuracy;
  std::vector<std::string> known{"loss"};
  for (const auto& [metric, value] : evaluation.metrics) {
    if (metric == name) return value;
    known.push_back(metric);
  }
  throw UserError(fmt::format("score = {}: is not measured.{}", name, did_you_mean(name, known)));
}

Store parameters(Sequential& model) {
  Store weights;
  for (const TensorZeros& tensor : model.zeros()) weights.set(tensor.name, model.store().get(tensor.name));
  return Store(weights);
}

// A training of the task, for a score or for its weights alone; nothing where it was stopped.
std::optional<RunResult> trained(const TrialTask& task, const TrialContext& context, bool for_score,
                                 Store& weights) {
  RunOptions options;
  options.data = context.data;
  options.seed = task.seed;
  options.threads = context.threads;
  options.fold = task.fold;
  // What decides when a training ends must not be what it is scored on.
  if (task.fold && watches_own_fold(task.recipe, task.fold->count))
    options.fold->watched = (task.fold->index + 1) % task.fold->count;
  options.start_weights = task.start;
  options.test = options.fold && options.fold->watched;
  options.certify = false;
  options.write_logs = false;
  options.on_start = [](const RewriteReport&, const std::vector<std::string>&) {};
  options.on_warning = [](const std::string&) {};
  options.on_step = context.on_step;
  options.stop = context.stop;
  TrainingRun run(task.recipe, options);
  if (for_score && run.examples(data::Split::validation) == nullptr)
    throw UserError(
        "folds = 0: scores on the recipe's validation data, but it sets none apart; give it "
        "data.validation, or take folds");
  const RunResult result = run.run();
  if (result.stopped) return std::nullopt;
  weights = parameters(run.model());
  return result;
}

}  // namespace

std::optional<Store> run_training(const TrialTask& task, const TrialContext& context) {
  Store weights;
  return trained(task, context, false, weights) ? std::optional(std::move(weights)) : std::nullopt;
}

std::optional<TrialScore> run_trial(const TrialTask& task, const TrialContext& context) {
  Store weights;
  const std::optional<RunResult> trained_run = trained(task, context, true, weights);
  if (!trained_run) return std::nullopt;
  const RunResult& result = *trained_run;
  TrialScore score{score_of(result.test ? *result.test : *result.validation, task.score), 0, result.seconds,
                   std::move(weights)};
  score.zeros = result.penalised.count > 0 ? result.penalised.fraction() : result.weights.fraction();
  if (!std::isfinite(score.score))
    throw JobError(fmt::format("{} is {} on the examples held out", task.score, score.score));
  return score;
}

std::string usual_score(const Recipe& recipe) {
  // Of several outputs, what they learn together.
  if (!recipe.list("outputs").empty()) return "loss";
  DataShape shape;
  shape.targets.width = static_cast<int64_t>(recipe.data().target.size());
  const LearningTask& task = task_named(recipe.loss().task(shape));
  // Of symbols no answer is right or wrong as a whole.
  if (task.decode != nullptr) return task.metrics.front();
  return task.name == "numbers" ? "loss" : "accuracy";
}

namespace {

// Whether losses of several values of a key are of different units.
bool changes_unit(const std::string& key) {
  return key == "data.standardize_targets" || key.starts_with("loss.") ||
         (key.starts_with("outputs.") && (key.ends_with(".loss") || key.ends_with(".weight")));
}

// What is measured of an output that learns so many things.
std::vector<Metric> measured_of(const ModelOutput& output, size_t width) {
  DataShape shape;
  shape.targets.width = static_cast<int64_t>(width);
  return metrics_for(task_named(output.loss.task(shape)), output.metrics);
}

// What is measured of several outputs: "digit/accuracy"; nothing of one.
std::vector<std::string> figures_of_outputs(const Recipe& recipe) {
  const std::vector<ModelOutput> outputs = recipe.outputs();
  std::vector<std::string> names;
  for (const ModelOutput& output : outputs)
    if (outputs.size() > 1)
      for (const Metric& metric : measured_of(output, std::max<size_t>(1, output.targets.size())))
        names.push_back(output.layer + "/" + metric.name);
  return names;
}

// A metric that every trial measures alike.
std::string metric_of(const Recipe& recipe) {
  const std::vector<ModelOutput> outputs = recipe.outputs();
  return outputs.size() > 1 ? figures_of_outputs(recipe).front()
                            : measured_of(outputs.front(), recipe.data().target.size()).front().name;
}

}  // namespace

std::vector<WatchedFigure> watched_figures(const Recipe& recipe) {
  std::vector<WatchedFigure> watched;
  for (const Callback& callback : recipe.callbacks())
    for (const auto& [option, name] : callback.spec.options)
      if (option == "monitor" && (name.empty() || name.starts_with("validation_")))
        watched.push_back({callback.place, name.empty() ? "validation_loss" : name, !name.empty(),
                           !callback.writes_files()});
  return watched;
}

bool watches_own_fold(const Recipe& recipe, int64_t folds) {
  const std::vector<WatchedFigure> watched = watched_figures(recipe);
  return folds > 2 &&
         std::any_of(watched.begin(), watched.end(), [](const auto& figure) { return figure.steers; });
}

void check_winner(const Recipe& winning, const TrialContext& context) {
  const std::vector<WatchedFigure> all = watched_figures(winning);
  const auto watched =
      std::find_if(all.begin(), all.end(), [](const WatchedFigure& figure) { return figure.by_name; });
  if (watched == all.end()) return;
  RunOptions options;
  options.data = context.data;
  options.threads = context.threads;
  options.test = false;
  options.write_logs = false;
  if (TrainingRun(winning, options).examples(data::Split::validation) != nullptr) return;
  throw UserError(
      fmt::format("{}monitor = {}: folds have validation data, but the winner, which is trained on all "
                  "examples, has none; give "
                  "data.validation, which the winner sets apart too, or monitor loss",
                  watched->place, watched->name));
}

void check_units(const std::vector<Range>& ranges, const Recipe& recipe, const std::string& score) {
  if (score != "loss") return;
  for (const Range& range : ranges) {
    if (range.values.size() == 1 || std::none_of(range.keys.begin(), range.keys.end(), changes_unit))
      continue;
    throw UserError(
        fmt::format("{}: losses of its values are in different units, and cannot be compared; give --score "
                    "{}, which measures all alike",
                    range.name(), metric_of(recipe)));
  }
}

bool larger_is_better(const std::string& score) {
  return score != "loss" && score.find("error") == std::string::npos;
}

Recipe measuring(Recipe recipe, const std::string& score) {
  const std::vector<std::string> of_outputs = figures_of_outputs(recipe);
  const auto is_measured = [&](const std::string& name) {
    return score == name || score.starts_with(name + "/");  // "digit/f1/seven" is the f1 of one class
  };
  if (score == "loss" || std::any_of(of_outputs.begin(), of_outputs.end(), is_measured)) return recipe;
  if (!of_outputs.empty())
    throw UserError(fmt::format("score = {}: of several outputs each has its own figures.{}", score,
                                data::what_was_meant(score, of_outputs)));
  if (score == "accuracy" || !recipe.list("outputs").empty()) return recipe;
  const std::vector<std::string> measured = metric_names(recipe.metrics());
  // "f1/seven" is the f1 of one class.
  const std::string kind = score.substr(0, score.find('/'));
  if (std::find(measured.begin(), measured.end(), kind) != measured.end()) return recipe;
  std::vector<std::string> known{"loss"};
  for (const MetricKind& of : metric_kinds()) known.push_back(of.spec.name);
  if (std::find(known.begin(), known.end(), kind) == known.end()) {
    known.insert(known.end(), measured.begin(), measured.end());
    throw UserError(fmt::format("score = {}: is no metric.{}", score, data::what_was_meant(score, known)));
  }
  std::vector<std::string> kinds = split_words(recipe.get("metrics.kinds"));
  kinds.push_back(kind);
  recipe.set("metrics.kinds", join_words(kinds));
  return recipe;
}

}  // namespace lariat::search
