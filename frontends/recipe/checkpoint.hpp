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
  /// Of the examples as well: see identity_of(); empty in older files.
  std::string data = {};
  /// Of the model that the run began with.
  std::optional<StartScales> start_scales = std::nullopt;

  /// Of a model that is at `model`, or comes there, whose permissions the file has where it is new.
  void save(const std::string& file, const std::string& model = {}) const;
  /// Throws UserError naming the file where it is no checkpoint.
  static Checkpoint load(const std::string& file);
};

/// What tells the examples of a run from others as JSON: their classes, columns, targets and labels, and what
/// a table says of its columns.
std::string identity_of(const data::Dataset& train, const std::optional<data::Columns>& columns);
/// "its classes were a, b, these are c, d": the first that differs between two identities; "" where none
/// does. Throws UserError where one is damaged.
std::string identity_difference(const std::string& there, const std::string& here);

}  // namespace lariat
