#pragma once

#include <optional>
#include <string>

#include "frontends/cli/progress.hpp"
#include "frontends/recipe/run.hpp"

namespace lariat::cli {

/// A training run that tells what it does: notices at its start, the rewrite's report on standard output once
/// that is known, warnings, progress, and the skipped files at its end.
class WatchedRun {
 public:
  /// Loads the data. `options` must not have callbacks yet.
  WatchedRun(const Recipe& recipe, RunOptions options, bool quiet);
  WatchedRun(const WatchedRun&) = delete;
  WatchedRun& operator=(const WatchedRun&) = delete;
  ~WatchedRun();

  TrainingRun& training() { return *training_; }
  RunResult run();

 private:
  TrainingProgress progress_;
  std::optional<TrainingRun> training_;
  bool listed_ = false;  // the skipped files
};

}  // namespace lariat::cli
