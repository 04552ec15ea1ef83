#pragma once

#include "benchmarks/worker.hpp"

namespace lariat::benchmarks {

/// The features of recorded digits, all of them in each run.
std::unique_ptr<Workload> feature_workload(const Request& request);

}  // namespace lariat::benchmarks
