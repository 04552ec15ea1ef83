#include "frontends/cli/watched_run.hpp"

#include <fmt/format.h>

#include "frontends/cli/console.hpp"
#include "frontends/cli/summary.hpp"

namespace lariat::cli {

WatchedRun::WatchedRun(const Recipe& recipe, RunOptions options, bool quiet)
    : progress_(recipe.training().epochs, quiet) {
  options.on_start = [](const RewriteReport& rewrite, const std::vector<std::string>& warnings) {
    print(fmt::format("What the rewrite did:\n{}", rewrite.text()));
    flush_output();
    for (const std::string& warning : warnings) report(warning);
  };
  options.on_warning = [this](const std::string& warning) {
    progress_.finish();
    report(warning);
  };
  options.on_note = [this](const std::string& note) {
    progress_.finish();
    print(note + "\n");
  };
  options.on_step = [this](const StepReport& step) { progress_.step(step); };
  options.on_epoch_end = [this](const EpochReport& epoch) { progress_.epoch(epoch); };
  training_.emplace(recipe, std::move(options));
  for (const std::string& notice : training_->notices()) report(notice);
  if (const size_t skipped = training_->skipped().size(); skipped > 0)
    report(fmt::format("{} example{} cannot be used; the list follows at the end", skipped,
                       skipped == 1 ? "" : "s"));
}

WatchedRun::~WatchedRun() {
  if (listed_) return;
  progress_.finish();
  list_skipped(training_->skipped());
}

RunResult WatchedRun::run() {
  RunResult result = training_->run();
  progress_.finish();
  listed_ = true;
  list_skipped(result.skipped);
  return result;
}

}  // namespace lariat::cli
