#pragma once

#include "frontends/data/batches.hpp"
#include "frontends/sequential/fit.hpp"

namespace lariat {

/// The batches of an epoch over a dataset that outlives them.
data::Batches training_batches(const data::Dataset& dataset, const FitOptions& options, uint32_t epoch = 0);

/// What the loop of a fit asks its model.
struct FitModel {
  Trainer& trainer;
  std::vector<std::string> metrics;
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
};

/// Why a fit ends after these epochs, as its options have it, or "".
std::string early_end(const std::vector<EpochReport>& epochs, const FitOptions& options);

/// Trains from `state` on, until all epochs are over or `options.stop` is set.
FitResult run_fit(const FitModel& model, TrainingData& data, const FitOptions& options, FitState state);

}  // namespace lariat
