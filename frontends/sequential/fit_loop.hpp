#pragma once

#include "frontends/sequential/fit.hpp"

namespace lariat {

int64_t steps_per_epoch(const data::Dataset& dataset, const FitOptions& options);

/// What the loop of a fit asks its model.
struct FitModel {
  Trainer& trainer;
  std::vector<std::string> metrics;
  /// Whether the dataset is of sequences, which have lengths.
  bool sequences = false;
  std::function<double(int64_t step)> learning_rate;
  /// Throws where a dataset does not fit the model.
  std::function<void(const data::Dataset&)> check;
  /// Completes the report of an epoch.
  std::function<void(EpochReport&)> finish;
};

/// Trains from `state` on, until all epochs are over or `options.stop` is set.
FitResult run_fit(const FitModel& model, TrainingData& data, const FitOptions& options, FitState state);

}  // namespace lariat
