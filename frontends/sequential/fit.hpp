#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <type_traits>

#include "autodiff/training/trainer.hpp"
#include "frontends/data/dataset.hpp"
#include "frontends/sequential/callback.hpp"
#include "frontends/sequential/outcome.hpp"
#include "frontends/sequential/support.hpp"
#include "graph/base/error.hpp"

namespace lariat {

struct StepReport {
  int64_t epoch = 0, epochs = 0;  ///< from 1
  int64_t step = 0, steps = 0;    ///< within the epoch, from 1
  StepResult result;
  /// This one in part.
  double epochs_done() const {
    return static_cast<double>(epoch - 1) +
           static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, steps));
  }
};

/// One epoch; losses and metrics, of which those that are cheap are taken, are those of its batches while the
/// weights moved, over all its examples as in an Evaluation.
struct EpochReport {
  int64_t epoch = 0;  ///< from 1
  /// The loss as written, what is left of it without the rewritten penalties, and those.
  double loss = 0, smooth = 0, penalty = 0;
  MetricValues metrics;
  /// The metric of that name, where there is one.
  std::optional<double> accuracy;
  /// Without penalties and dropout, on the validation data, where there are any; the metrics are exact.
  std::optional<double> validation_loss, validation_accuracy;
  MetricValues validation_metrics;
  /// Exact zeros at the end of the epoch: among weights with a penalty that makes zeros, and among all.
  Sparsity penalised, weights;
  /// The share of those penalised weights that became zero, or ceased to be, in this epoch; nothing where
  /// there are none.
  std::optional<double> support_changes;
  /// How close the weights are to a stationary point at the end of the epoch, where that was asked for; see
  /// Certificate.
  std::optional<double> prox_residual, distance;
  double seconds = 0;
  /// Of the last step; the latter multiplies every penalty.
  double learning_rate = 0, penalty_strength = 1;
};

/// {"accuracy": 0.9, …}, null where a number is not finite.
std::string to_json(const MetricValues& metrics);
/// {"epoch": 1, "loss": …} and back.
std::string to_json(const EpochReport& report);
EpochReport epoch_report_from_json(std::string_view json);

/// Where a fit stands between two steps: with the store, all that is needed to go on as if it had never
/// stopped.
struct FitState {
  int64_t epoch = 0, step = 0;  ///< the next one, from 0
  int64_t first_step = 0;       ///< of the trainer, when the fit began
  int64_t total_steps = 0;      ///< what the schedule runs over
  /// Sums over the examples of the epoch so far.
  int64_t examples = 0;
  double loss = 0, penalty = 0, seconds = 0;
  std::vector<double> metrics = {};
  /// What these are divided by: examples, weights or frames, of each metric.
  std::vector<double> metric_weights = {};
  /// Of the penalised weights when the epoch began. Not written between epochs, where it is that of the
  /// weights.
  Support support = {};
  /// What each callback knows, in their order.
  std::vector<std::string> callbacks = {};
};

/// {"epoch": 3, "step": 0, …} and back.
std::string to_json(const FitState& state);
FitState fit_state_from_json(std::string_view json);

/// A dataset, or what gives one for each epoch from 0; it must depend on the epoch alone.
class TrainingData {
 public:
  /// The dataset must outlive the fit.
  TrainingData(const data::Dataset& dataset) : fixed_(&dataset) {}
  TrainingData(std::function<data::Dataset(uint32_t epoch)> function) : function_(std::move(function)) {
    require_function(function_, "what gives the examples of each epoch");
  }
  template <class Function>
  requires std::is_invocable_r_v<data::Dataset, Function, uint32_t> TrainingData(Function function)
      : function_(std::move(function)) {}

  /// Valid until the next call.
  const data::Dataset& at(uint32_t epoch);
  /// Whether every epoch has the same examples.
  bool is_fixed() const { return fixed_ != nullptr; }

 private:
  const data::Dataset* fixed_ = nullptr;
  std::function<data::Dataset(uint32_t)> function_;
  data::Dataset latest_;
  std::optional<uint32_t> latest_epoch_;
};

struct FitOptions {
  int epochs = 1;
  int batch_size = 32;
  /// A step is of so many times batch_size examples, of which it computes batch_size at a time: it takes the
  /// memory of those, and is the step of the large batch but for rounding, and for dropout, whose zeros are
  /// others.
  int accumulate = 1;
  /// batch_size examples are cut into so many micro-shards, as TrainerOptions.micro_shards has it; 0: they
  /// are not.
  int micro_shards = 0;
  /// Those that fit together, every one with a model of its own; nullptr: this process alone. All are given
  /// the same data and options; each computes its share of the micro-shards.
  std::shared_ptr<Ranks> ranks = nullptr;
  /// Evaluated after each epoch; it must outlive the fit.
  std::optional<std::reference_wrapper<const data::Dataset>> validation = std::nullopt;
  /// Of the initial weights, the order of examples and dropout.
  uint64_t seed = 0;
  /// 0: what the machine allows. Results are the same for every number.
  int threads = 0;
  /// From the number of steps to the factors on the learning rate; empty: always 1.
  std::function<Schedule(int64_t steps)> schedule = {};
  /// As in TrainerOptions.
  double clip_norm = 0, clip_value = 0;
  std::vector<ParameterGroup> groups = {};
  /// What is done besides, in this order; see callbacks.hpp.
  std::vector<Callback> callbacks = {};
  /// What files of callbacks begin with that have no name of their own.
  std::string out = {};
  bool rewrite = true;
  bool check_finite = false;
  /// The share of the steps after which zeros stay zero, as TrainerOptions.settle_from has it; 1: never.
  double settle_from = 1;
  /// Whether what is zero when the fit begins stays zero: in weights of two axes or more, penalised or not,
  /// and in all that are penalised, of which more may become zero, and stay so. For models that were trained
  /// sparse.
  bool freeze_zeros = false;
  /// The share of the steps over which every penalty grows, in a straight line, to its coefficient.
  double penalty_ramp = 0;
  /// The factor on every penalty where zeros stay zero: the weights that are left need no more pressure.
  double after_settling = 1;
  /// As in data::BatchOptions. A model with states that go on from batch to batch neither shuffles nor
  /// buckets.
  bool shuffle = true;
  int64_t window = 0;
  bool bucket = true;
  int bucket_batches = 16, time_multiple = 1;
  /// Certified after each epoch: how close the weights are to a stationary point on these data. They must
  /// outlive the fit. Where the next option needs data and there are none, it takes the epoch's.
  std::optional<std::reference_wrapper<const data::Dataset>> certificate = std::nullopt;
  /// The fit ends after an epoch where the prox residual is at most that; 0: not.
  double stop_when_stationary = 0;
  /// The fit ends after so many epochs in which there were zeros and their places stayed the same; 0: not.
  int stop_when_settled = 0;

  /// Called before the first step with what the rewrite did, and with warnings: L201, judged on the first
  /// batch at full strength of the penalties. Where it is empty, the warnings go to on_warning.
  std::function<void(const RewriteReport&, const std::vector<std::string>& warnings)> on_start = {};
  /// Called between two steps with a warning of what happens, such as L201; empty: a line on standard error.
  std::function<void(const std::string&)> on_warning = {};
  /// Called between two steps with a line on what steps do otherwise from then on: that they leave out zeros.
  std::function<void(const std::string&)> on_note = {};
  std::function<void(const StepReport&)> on_step = {};
  std::function<void(const EpochReport&)> on_epoch_end = {};
  /// Called before on_epoch_end, as the next one says, where `stop` ends the fit, and within epochs as those
  /// behind it say, with what a checkpoint needs beside the store.
  std::function<void(const FitState&, const std::vector<EpochReport>&)> on_checkpoint = {};
  /// Checkpoints after every so many epochs, and after the last one. 0: after each, unless on_checkpoint
  /// would take more than a twentieth of the time then.
  int64_t checkpoint_epochs = 1;
  /// Checkpoints within epochs too: after so many steps, or minutes, since the last one; 0: not.
  int64_t checkpoint_steps = 0;
  double checkpoint_minutes = 0;
  /// How callbacks write the model; empty: by Sequential::save().
  std::function<void(const std::string& file)> save = {};
  /// Looked at after each step; the fit ends where it is true.
  const std::atomic<bool>* stop = nullptr;
  /// Where to go on, with the store as it was then, and the epochs that had ended.
  FitState from = {};
  std::vector<EpochReport> earlier = {};
};

struct FitResult {
  /// The epochs that ended, earlier ones included.
  std::vector<EpochReport> epochs;
  /// Whether it ended because of `stop`.
  bool stopped = false;
  /// Why it ended before its last epoch without that, or "".
  std::string ended;
  FitState state = {};
};

}  // namespace lariat
