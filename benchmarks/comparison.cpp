#include "benchmarks/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <thread>

#include "benchmarks/worker_process.hpp"
#include "graph/base/error.hpp"

namespace lariat::benchmarks {

namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
constexpr int checked_runs = 4;
// So long may the scheduler leave two threads that have just woken on one core.
constexpr double warm_up_milliseconds = 100;
// After the first run, an L1 term moves weights by another rule on one side.
constexpr double tolerance = 1e-4, tolerance_with_l1 = 5e-2;

struct Candidate {
  Timing timing;
  std::unique_ptr<WorkerProcess> worker;
  std::vector<double> samples;
  std::string warm_up, measure;  // the commands of a turn
};

void check_same(const Case& what, const Candidate& first, const Candidate& other,
                const std::vector<double>& expected, const std::vector<double>& found) {
  for (size_t i = 0; i < expected.size(); ++i) {
    const double allowed = i > 0 && what.l1 > 0 ? tolerance_with_l1 : tolerance;
    if (std::abs(found[i] - expected[i]) <= allowed * std::max(1.0, std::abs(expected[i]))) continue;
    throw JobError(fmt::format("{}: run {} gives {} by {} and {} by {}: the two do not compute the same",
                               what.name, i + 1, expected[i], first.timing.side, found[i],
                               other.timing.side));
  }
}

// As many runs as fill `milliseconds`.
int runs_for(double one, double milliseconds) {
  return std::clamp(static_cast<int>(milliseconds / one), 1, 2000);
}

const std::vector<std::string> lariat_settings = {"default"};

// Starts the worker of side `name` for a moment.
Side probe(const std::filesystem::path& folder, const std::string& name, const Case& what) {
  Side side{name, folder / (name + "_worker"), {}};
  const std::string setting = name == "lariat" ? lariat_settings.front() : what.other_settings.front();
  side.version = WorkerProcess(side.program, what.name, 1, setting).version();
  return side;
}

}  // namespace

double median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

std::vector<Side> present_sides(const std::filesystem::path& folder, const std::vector<Case>& chosen) {
  std::vector<Side> sides;
  std::set<std::string> tried;
  for (const Case& what : chosen) {
    if (is_program(what)) continue;
    if (sides.empty()) sides.push_back(probe(folder, "lariat", what));
    if (what.other.empty() || !tried.insert(what.other).second) continue;
    try {
      sides.push_back(probe(folder, what.other, what));
    } catch (const JobError& error) {
      fmt::print(stderr, "{} is left out: {}\n", what.other, error.what());
    }
  }
  return sides;
}

Comparison compare(const Case& what, const std::vector<Side>& sides, const Machine& machine, bool quick) {
  Comparison result{what, {}, {}};
  std::vector<Candidate> candidates;
  for (const Side& side : sides) {
    if (side.name != "lariat" && side.name != what.other) continue;
    for (const Limit& limit : machine.limits)
      for (const std::string& setting : side.name == "lariat" ? lariat_settings : what.other_settings) {
        if (limit.threads == 1 && waits_passively(setting)) continue;  // nobody waits
        candidates.push_back(
            {{side.name, setting, limit.threads},
             std::make_unique<WorkerProcess>(side.program, what.name, limit.threads, setting),
             {},
             {},
             {}});
      }
  }
  const std::string runs = std::to_string(checked_runs);
  for (Candidate& candidate : candidates) {
    const std::vector<double> values = candidate.worker->ask("check " + runs);
    if (result.values.empty()) result.values = values;
    check_same(what, candidates.front(), candidate, result.values, values);
    if (candidate.timing.side == "lariat" && &candidate != &candidates.front())
      result.same_bits = result.same_bits.value_or(true) && values == result.values;
  }
  const int rounds = quick ? 3 : 9;
  for (Candidate& candidate : candidates) {
    const double one = median(candidate.worker->ask("run 3"));
    candidate.warm_up = fmt::format("run {}", runs_for(one, warm_up_milliseconds));
    candidate.measure = fmt::format("run {}", runs_for(one, quick ? 30 : 120));
  }
  for (int round = 0; round < rounds; ++round)
    for (Candidate& candidate : candidates) {
      // Idle threads of the one before may still spin.
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      result.disturbed += !wait_until_undisturbed(machine, candidate.timing.threads);
      candidate.worker->ask(candidate.warm_up);
      candidate.samples.push_back(median(candidate.worker->ask(candidate.measure)));
    }
  for (Candidate& candidate : candidates) {
    candidate.timing.milliseconds = median(candidate.samples);
    candidate.timing.peak_megabytes = candidate.worker->peak_megabytes();
    result.timings.push_back(candidate.timing);
  }
  return result;
}

double Comparison::figure(const Timing& timing) const {
  return what.model == Model::program_memory ? timing.peak_megabytes : timing.milliseconds;
}

std::string Comparison::unit() const { return what.model == Model::program_memory ? "MB" : "ms"; }

const Timing* Comparison::best(const std::string& side, int threads) const {
  const Timing* found = nullptr;
  for (const Timing& timing : timings)
    if (timing.side == side && (threads == 0 || timing.threads == threads) &&
        (!found || figure(timing) < figure(*found)))
      found = &timing;
  return found;
}

double Comparison::ratio(int threads) const {
  const Timing *own = best("lariat", threads), *other = best(what.other, threads);
  return own && other ? figure(*other) / figure(*own) : nothing;
}

double Comparison::ratio_as_it_comes() const {
  Comparison without = *this;
  std::erase_if(without.timings, [](const Timing& timing) { return waits_passively(timing.setting); });
  return without.ratio();
}

double Comparison::peak_share(const Machine& machine) const {
  const Timing* own = best("lariat");
  const double flops = product_flops(what);
  if (!own || flops == 0) return nothing;
  return flops / (own->milliseconds * 1e6) / machine.at(own->threads).product_gflops;
}

double Comparison::bandwidth_share(const Machine& machine) const {
  const Timing* own = best("lariat");
  const double bytes = update_bytes(what);
  if (!own || bytes == 0) return nothing;
  return bytes / (own->milliseconds * 1e6) / machine.at(own->threads).memory_gbytes;
}

}  // namespace lariat::benchmarks
