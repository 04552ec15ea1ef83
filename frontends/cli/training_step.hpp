#pragma once

#include <memory>
#include <string>

#include "autodiff/training/trainer.hpp"
#include "frontends/recipe/recipe.hpp"
#include "frontends/sequential/network.hpp"

namespace lariat::cli {

/// The training step that a recipe describes, without training.
struct TrainingStep {
  DataShape shape;
  Network network;
  std::unique_ptr<Trainer> trainer;
  /// As it is written, before any pass; belongs to the trainer.
  const Graph* written = nullptr;
};

/// What a model of the recipe is fed. `folder` stands in for the recipe's path where it is not empty. Only
/// the first recording's header is read. Without data it assumes ten classes at 8000 Hz, or 28 x 28 pixels,
/// and says so in `notice`.
DataShape recipe_shape(const Recipe& recipe, const std::string& folder, std::string& notice);

/// Of one process, or of `ranks` that train together.
TrainingStep make_training_step(const Recipe& recipe, const DataShape& shape, int threads,
                                const std::shared_ptr<Ranks>& ranks = nullptr);

/// Runs a few steps on the first examples and writes when each node ran, for Chrome's and Perfetto's viewers;
/// of several ranks, those of rank 0. Returns a line about what it saw, and a table of the time by op.
/// Nothing that is trained changes.
std::string profile_training(Recipe recipe, const std::string& folder, int threads, const std::string& file,
                             const std::shared_ptr<Ranks>& ranks = nullptr);

}  // namespace lariat::cli
