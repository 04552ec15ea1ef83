#pragma once

#include "frontends/search/trial.hpp"
#include "graph/ranks/ranks.hpp"

namespace lariat::search {

/// A training of a search whose figures are not known yet.
struct OpenTraining {
  size_t trial = 0;
  /// What the journal calls its figures.
  std::string note;
  TrialTask task;
};

/// What tells the examples that a recipe trains and validates on from others.
std::string data_of(const Recipe& recipe, const TrialContext& context);
/// Throws UserError, the same on all ranks, where these are others on one: each trains for itself, and no sum
/// over ranks would show it.
void agree_on_data(Ranks& ranks, const std::string& data);

/// Trains each on one of the ranks, with the bits that it has anywhere, and gives all ranks what came out of
/// each that did not fail. False where one was stopped.
bool train_on_ranks(Ranks& ranks, const std::vector<OpenTraining>& trainings, const TrialContext& context,
                    const std::function<void(const OpenTraining&, const TrialScore&)>& done);

}  // namespace lariat::search
