#pragma once

#include "frontends/recipe/start_scales.hpp"
#include "frontends/sequential/fit.hpp"
#include "graph/io/store.hpp"

namespace lariat {

/// Everything that an unfinished run needs to go on.
struct Checkpoint {
  /// Parameters, optimizer slots, counters, random state.
  Store store;
  Recipe recipe;
  FitState state;
  std::vector<EpochReport> history;
  size_t train_examples = 0;
  /// Of the examples that it was trained on.
  std::vector<data::TargetScale> target_scales = {};
  /// Of the model that the run began with.
  std::optional<StartScales> start_scales = std::nullopt;

  /// Of a model that is at `model`, or comes there, whose permissions the file has where it is new.
  void save(const std::string& file, const std::string& model = {}) const;
  /// Throws UserError naming the file where it is no checkpoint.
  static Checkpoint load(const std::string& file);
};

}  // namespace lariat
