#pragma once

#include <functional>

#include "benchmarks/workers/worker.hpp"

namespace lariat {
class Executor;
}

namespace lariat::benchmarks {

/// Writes to standard error, by op, where the time of `times` runs on `executor` goes.
void print_profile(Executor& executor, int times, const std::function<void()>& run);

/// The features of recorded digits, all of them in each run.
std::unique_ptr<Workload> feature_workload(const Request& request);

/// An LSTM layer's forward pass and all of its gradients, for a given adjoint of the output.
std::unique_ptr<Workload> lstm_sequence_workload(const Request& request);

}  // namespace lariat::benchmarks
