#pragma once

#include "frontends/sequential/fit.hpp"
#include "frontends/sequential/fit_loop.hpp"
#include "frontends/sequential/network.hpp"

namespace lariat {

/// What the trainer of a fit is made of.
struct TrainerSetup {
  Value loss;
  TrainerOptions options;
  /// The factor on every penalty by the trainer's step; empty: always 1.
  Schedule strength;
};
/// Throws UserError for an option that is out of its range, whatever the model.
void check_ranges(const FitOptions& options);
/// Throws UserError for an option that has no effect on such a model.
void check_effects(const Network& network, const FitOptions& options, const Store& weights);
/// What is said of options on zeros in a fit without the rewrite.
std::vector<std::string> useless_without_rewrite(const FitOptions& options);

/// For a fit that goes on from `state`. Throws UserError for an option out of its range.
TrainerSetup trainer_setup(Network& network, const FitOptions& options, const FitState& state,
                           const std::shared_ptr<const FitCallbacks>& callbacks, const Optimizer& optimizer);

}  // namespace lariat
