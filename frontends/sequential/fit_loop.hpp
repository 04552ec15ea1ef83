#pragma once

#include "frontends/data/batches.hpp"
#include "frontends/sequential/fit.hpp"
#include "frontends/sequential/network.hpp"

namespace lariat {

/// The callbacks of one fit.
class FitCallbacks {
 public:
  explicit FitCallbacks(const std::vector<Callback>& callbacks);

  /// Whether any of them is of that sort.
  bool scales_penalties() const { return scales_penalties_; }
  bool reweights() const { return reweights_; }
  /// Throws UserError where the states are of others.
  void restore(const std::vector<std::string>& states);
  /// Throws UserError where one of them refuses the fit. Each gets the view with its own place.
  void check(const FitView& view);
  /// Checks all of them and begins. What the view refers to must outlive the fit.
  void begin(const FitView& view);
  void after_step(const StepReport& report);
  void after_epoch(const EpochReport& report);
  void end();
  std::vector<std::string> states() const;
  /// Why the fit should end, or "".
  std::string why_end() const;
  /// What the callbacks' factors come to.
  double rate_factor() const;
  double penalty_factor() const;

 private:
  std::vector<std::string> names_, places_;
  std::vector<std::unique_ptr<CallbackRun>> runs_;
  std::vector<FitView> views_;
  bool scales_penalties_ = false, reweights_ = false;
};

/// What callbacks see of a fit; parameters and steps are to be added.
FitView fit_view(const FitOptions& options, const Network& network, Store& store,
                 const std::vector<EpochReport>& epochs);

/// What names of tensors begin with that callbacks keep.
inline constexpr const char* kept_by_callbacks = "callback/";

/// The batches of an epoch over a dataset that outlives them, each of which is a step: of
/// batch_size·accumulate examples.
data::Batches training_batches(const data::Dataset& dataset, const FitOptions& options, uint32_t epoch = 0);

/// One step on a batch of so many examples, in the parts that the options cut it into; `graph` is that whose
/// inputs are fed.
StepResult step_on(Trainer& trainer, const Graph& graph, const data::Batches& batches, size_t step,
                   const FitOptions& options, size_t& examples);

/// What the loop of a fit asks its model.
struct FitModel {
  Trainer& trainer;
  std::vector<std::string> metrics;
  /// Those that are means by weight: behind the metrics a step has the mean weight of each.
  std::vector<size_t> weighted_metrics;
  /// Whose inputs are fed.
  const Graph& graph;
  std::function<double(int64_t step)> learning_rate, penalty_strength;
  /// Throws where a dataset does not fit the model.
  std::function<void(const data::Dataset&)> check;
  std::function<void()> begin_epoch;
  /// Of the penalised weights.
  std::function<Support()> support;
  std::function<Certificate(const data::Dataset&)> certify;
  /// Completes the report of an epoch.
  std::function<void(EpochReport&)> finish;
  /// Of which the loop adds what it knows.
  FitCallbacks& callbacks;
  std::function<FitView(const std::vector<EpochReport>&, int64_t epoch_steps)> view;
};

/// Why a fit ends after these epochs, as its options have it, or "".
std::string early_end(const std::vector<EpochReport>& epochs, const FitOptions& options);

/// Trains from `state` on, until all epochs are over or `options.stop` is set.
FitResult run_fit(const FitModel& model, TrainingData& data, const FitOptions& options, FitState state);

}  // namespace lariat
