#pragma once

#include <atomic>

#include "frontends/sequential/sequential.hpp"
#include "tests/support/testing.hpp"

namespace lariat::testing {

/// Stops a training at a step of an epoch, lets it go on, and gives the hash that its parameters have then.
/// `make` gives a model that is compiled.
template <class Make>
uint64_t hash_when_resumed(const Make& make, const data::Dataset& data, FitOptions options, int64_t epoch,
                           int64_t step) {
  std::atomic<bool> stop = false;
  FitOptions until = options;
  until.stop = &stop;
  until.on_step = [&](const StepReport& report) { stop = report.epoch == epoch && report.step == step; };
  auto model = make();
  const FitResult part = model.fit(data, until);
  REQUIRE(part.stopped);
  options.from = part.state;
  options.earlier = part.epochs;
  model.fit(data, options);
  return model.parameter_hash();
}

}  // namespace lariat::testing
