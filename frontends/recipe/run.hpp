#pragma once

#include "frontends/recipe/corpus.hpp"
#include "frontends/recipe/result.hpp"
#include "graph/base/owned.hpp"

namespace lariat {

/// The recipe as several ranks train it: with 8 micro_shards where it says none.
Recipe of_ranks(Recipe recipe);
/// Throws UserError, the same on all ranks, that names the first key in which their recipes differ.
void agree_on_recipe(Ranks& ranks, const Recipe& recipe);

struct RunOptions {
  /// The folder of the data; empty: the recipe's.
  std::string data = {};
  /// The model file to write; empty: none, and no checkpoints.
  std::string out = {};
  /// These stand in for training.seed, data.held_out and data.validation of the recipe where they are given.
  std::optional<uint64_t> seed = std::nullopt;
  std::vector<std::string> held_out = {};
  std::optional<double> validation = std::nullopt;
  /// 0: what the machine allows. Results are the same for every number.
  int threads = 0;
  /// What is held out of the training examples and validated on instead of the recipe's validation split.
  std::optional<data::FoldChoice> fold = std::nullopt;
  /// Whether the test split is evaluated at the end. A search for good settings should leave it alone.
  bool test = true;
  /// Whether the weights are certified at the end, and after each epoch.
  bool certify = true, certificate = false;
  /// Whether callbacks that write files do: those of a search would all write the same.
  bool write_logs = true;
  /// Where the first weights come from, a model file or a store that has them by name; without either they
  /// are random.
  std::string start = {};
  const Store* start_weights = nullptr;
  /// Those that train together, each with a run of its own from the same recipe, of which rank 0 writes the
  /// files; nullptr: this process alone. Their recipe is of_ranks().
  std::shared_ptr<Ranks> ranks = nullptr;
  /// The numbers that the trained weights are rounded to before they are evaluated and saved.
  NumberForm weights = NumberForm::float32;
  /// As in TrainerOptions.
  bool check_finite = false;
  /// As in FitOptions.
  std::function<void(const RewriteReport&, const std::vector<std::string>& warnings)> on_start = {};
  std::function<void(const std::string&)> on_warning = {}, on_note = {};
  std::function<void(const StepReport&)> on_step = {};
  std::function<void(const EpochReport&)> on_epoch_end = {};
  /// Looked at after each step; the run writes a checkpoint and ends where it is true.
  const std::atomic<bool>* stop = nullptr;
};

/// "model.safetensors.checkpoint": written after epochs as [training] says, the last one in any case,
/// and where a run is stopped; as many earlier ones as that keeps have -1, -2, … behind. "" where
/// `out` is empty or a device.
std::string checkpoint_of(const std::string& out);

/// A recipe carried out: data, features, model, training, evaluation, model file.
class TrainingRun {
 public:
  /// Loads the data and builds the model. Throws UserError for what is wrong with recipe or data.
  explicit TrainingRun(Recipe recipe, RunOptions options = {});
  TrainingRun(TrainingRun&&) noexcept;
  ~TrainingRun();

  /// Goes on from a checkpoint, to the same bits as a run that was never stopped. Throws UserError where it
  /// is none, or of another recipe or data.
  void resume(const std::string& checkpoint);
  /// Throws UserError for what run() would refuse before its first step.
  void check();
  /// Trains, evaluates, and writes the model file. Throws JobError where training diverges; the last
  /// checkpoint stays.
  RunResult run();

  const Recipe& recipe() const;
  Sequential& model();
  /// The present weights on a split. Throws UserError where the run has not loaded it.
  Evaluation evaluate(data::Split split);
  /// The examples of a split, as the model takes them; nullptr where the run has not loaded it.
  const data::Dataset* examples(data::Split split) const;
  size_t train_examples() const;
  size_t validation_examples() const;
  const std::vector<std::string>& skipped() const;
  const std::vector<std::string>& notices() const;

 private:
  struct Implementation;
  Owned<Implementation, "run"> self_;
};

}  // namespace lariat
