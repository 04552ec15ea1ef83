#pragma once

#include "frontends/sequential/fit.hpp"
#include "frontends/sequential/network.hpp"

namespace lariat {

/// What the trainer of a fit is made of.
struct TrainerSetup {
  Value loss;
  TrainerOptions options;
  /// The factor on every penalty by the trainer's step; empty: always 1.
  Schedule strength;
};
/// The optimizer, with steps of their own for the parameters that are in `groups` by name.
Optimizer grouped(const Optimizer& optimizer, const std::map<std::string, ParameterGroup>& groups);
/// For a fit that goes on from `state`. Throws UserError for an option out of its range.
TrainerSetup trainer_setup(Network& network, const FitOptions& options, const FitState& state);

}  // namespace lariat
