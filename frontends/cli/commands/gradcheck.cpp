#include "autodiff/check/gradcheck.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/ir/registry.hpp"

namespace lariat::cli {

static void gradcheck(const Strings& words) {
  Arguments arguments(
      "lariat gradcheck",
      "Compares the gradients of ops with finite differences, in double, on their own samples.",
      "lariat gradcheck matmul lstm_cell --json gradcheck.json");
  Strings names;
  std::optional<int64_t> seed, threads;
  std::string json_name;
  arguments.words("OP", names, "the ops to check; without one, all of them", false);
  arguments.seed(seed);
  arguments.threads(threads);
  arguments.plugins();
  arguments.json(json_name);
  if (!arguments.read(words)) return;

  std::vector<const OpDef*> chosen;
  for (const std::string& name : names) chosen.push_back(&registry().get(name));
  if (names.empty()) chosen = registry().all();
  check_outputs({json_name});
  const JsonFile json(json_name);
  const ThreadLimit limit(threads);

  const auto start = std::chrono::steady_clock::now();
  Json results = Json::array();
  Strings failures;
  int64_t checks = 0;
  size_t width = 0;
  for (const OpDef* op : chosen) width = std::max(width, op->name.size());
  for (const OpDef* op : chosen) {
    const GradcheckResult result = lariat::gradcheck(*op, static_cast<uint64_t>(seed.value_or(0)));
    const bool passed = result.passed && result.checks >= result.expected_checks;
    checks += result.checks;
    std::string line =
        fmt::format("{:<{}}  {:>7} of {:>7} checks  worst error {:.1e}  {}", op->name, width, result.checks,
                    result.expected_checks, result.worst_error, passed ? "passed" : "FAILED");
    if (!passed) {
      failures.push_back(op->name);
      line += ": " + (!result.detail.empty()    ? result.detail
                      : !result.not_run.empty() ? result.not_run
                                                : "fewer checks ran than should have");
    }
    print(line + "\n");
    results.push_back({{"op", op->name},
                       {"checks", result.checks},
                       {"expected_checks", result.expected_checks},
                       {"worst_error", result.worst_error},
                       {"passed", passed},
                       {"detail", result.detail},
                       {"not_run", result.not_run}});
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  print(fmt::format("{} of {} ops passed, {} checks, {}\n", chosen.size() - failures.size(), chosen.size(),
                    grouped(checks), duration(seconds)));
  json.write({{"ops", results},
              {"passed", chosen.size() - failures.size()},
              {"failed", failures.size()},
              {"seconds", seconds},
              {"seed", seed.value_or(0)},
              {"threads", limit.threads()}});
  if (!failures.empty())
    throw JobError(fmt::format("gradcheck: {} of {} ops failed: {}", failures.size(), chosen.size(),
                               fmt::join(failures, ", ")));
}

Command command_records::gradcheck() {
  return {"gradcheck", "compare gradients of ops with finite differences", cli::gradcheck,
          CommandGroup::graphs};
}

}  // namespace lariat::cli
