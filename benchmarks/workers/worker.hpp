#pragma once

#include <functional>
#include <memory>
#include <string>

#include "benchmarks/cases.hpp"

namespace lariat::benchmarks {

/// A case as one side runs it, ready to go.
struct Workload {
  virtual ~Workload() = default;
  /// One training step or one forward pass: the loss before the step, or the sum of the results. Both sides
  /// must agree on it.
  virtual double run() = 0;
  /// The same work with a value that covers all of the result, where that of run() does not.
  virtual double check() { return run(); }
  /// Writes to standard error where the time of `times` runs goes, for sides that can tell.
  virtual void profile(int /*times*/) {}
};

/// How a worker was asked to run its case.
struct Request {
  Case what;
  int threads = 1;
  /// One of the side's own settings, by name; "default" else.
  std::string setting = "default";
};

using MakeWorkload = std::function<std::unique_ptr<Workload>(const Request&)>;

/// The main function of a worker, `worker CASE THREADS SETTING NUMBERS`, where the last are the case's as
/// JSON: gives its `version` once the case is ready, then answers commands on its standard input, one a line.
/// "check N" runs N times and gives the results, all digits of them; "run N" runs N times and gives the
/// milliseconds of each. Faults are answered by "error MESSAGE".
int serve(int count, char** arguments, const std::string& version, const MakeWorkload& make);

}  // namespace lariat::benchmarks
