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
constexpr int checked_runs = 4, pause_milliseconds = 5;
// So long may the scheduler leave two threads that have just woken on one core.
constexpr double warm_up_milliseconds = 30;
// What one case may take beside its start.
constexpr double seconds_per_case = 40, quick_seconds_per_case = 5;
// After the first run, an L1 term moves weights by another rule on one side.
constexpr double tolerance = 1e-4, tolerance_with_l1 = 5e-2;

struct Candidate {
  Timing timing;
  std::unique_ptr<WorkerProcess> worker;
  std::vector<double> values;    // of the first runs
  std::string warm_up, measure;  // the commands of a turn
};

void start(std::vector<Candidate>& candidates, const Side& side, const Case& what, int threads,
           const std::string& setting) {
  Candidate candidate{{side.name, setting, threads},
                      std::make_unique<WorkerProcess>(side.program, what.name, threads, setting),
                      {},
                      {},
                      {}};
  candidate.values = candidate.worker->ask("check " + std::to_string(checked_runs));
  candidates.push_back(std::move(candidate));
}

void check_same(const Case& what, const Candidate& first, const Candidate& other) {
  for (size_t i = 0; i < first.values.size(); ++i) {
    const double allowed = i > 0 && what.l1 > 0 ? tolerance_with_l1 : tolerance;
    const double expected = first.values[i], found = other.values.at(i);
    if (std::abs(found - expected) <= allowed * std::max(1.0, std::abs(expected))) continue;
    throw JobError(fmt::format("{}: run {} gives {} by {} and {} by {}: the two do not compute the same",
                               what.name, i + 1, expected, first.timing.side, found, other.timing.side));
  }
}

// As many runs as fill `milliseconds`.
int runs_for(double one, double milliseconds) {
  return std::clamp(static_cast<int>(milliseconds / one), 1, 2000);
}

const Peer lariat{"lariat"};

std::filesystem::path worker_of(const std::filesystem::path& folder, const std::string& name) {
  return folder / (name + "_worker");
}

// Starts the worker of a side for a moment.
Side probe(const std::filesystem::path& folder, const Peer& peer, const Case& what) {
  Side side{peer.name, worker_of(folder, peer.name), {}};
  side.version = WorkerProcess(side.program, what.name, 1, peer.settings.front()).version();
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
    if (sides.empty()) sides.push_back(probe(folder, lariat, what));
    for (const Peer& peer : what.peers) {
      if (!tried.insert(peer.name).second) continue;
      // It is there once it was asked for: see peers.sh.
      if (peer.name == "pytorch" && !std::filesystem::exists(folder / "../../build-peers/pytorch/made"))
        continue;
      try {
        sides.push_back(probe(folder, peer, what));
      } catch (const JobError& error) {
        fmt::print(stderr, "{} is left out: {}\n", peer.name, error.what());
      }
    }
  }
  return sides;
}

Comparison compare(const Case& what, const std::vector<Side>& sides, const Machine& machine, bool quick) {
  Comparison result{what, {}, {}};
  std::vector<Candidate> candidates;
  std::vector<Peer> peers{lariat};
  peers.insert(peers.end(), what.peers.begin(), what.peers.end());
  for (const Peer& peer : peers) {
    const auto side = std::ranges::find(sides, peer.name, &Side::name);
    if (side == sides.end()) continue;
    for (const Limit& limit : machine.limits)
      for (const std::string& setting : peer.settings) {
        if (limit.threads == 1 && waits_passively(setting)) continue;  // nobody waits
        if (quick && setting.ends_with("compiled")) continue;          // its start takes most of a minute
        try {
          start(candidates, *side, what, limit.threads, setting);
        } catch (const JobError& error) {
          if (side->name == "lariat") throw;
          fmt::print(stderr, "{}, {} is left out of {}: {}\n", side->name, setting, what.name, error.what());
        }
      }
  }
  result.values = candidates.front().values;
  for (const Candidate& candidate : candidates) {
    check_same(what, candidates.front(), candidate);
    if (candidate.timing.side == "lariat" && &candidate != &candidates.front())
      result.same_bits = result.same_bits.value_or(true) && candidate.values == result.values;
  }
  double turn = 0;
  for (Candidate& candidate : candidates) {
    const double one = median(candidate.worker->ask("run 3")), measured = quick ? 15 : 60;
    const int warm_up = runs_for(one, quick ? warm_up_milliseconds / 2 : warm_up_milliseconds),
              runs = runs_for(one, measured);
    candidate.warm_up = fmt::format("run {}", warm_up);
    candidate.measure = fmt::format("run {}", runs);
    turn += 1e-3 * (one * (warm_up + runs) + pause_milliseconds);
  }
  const auto rounds =
      static_cast<int>(std::clamp((quick ? quick_seconds_per_case : seconds_per_case) / turn, 3.0, 25.0));
  for (int round = 0; round < rounds; ++round)
    for (Candidate& candidate : candidates) {
      // Idle threads of the one before may still spin.
      std::this_thread::sleep_for(std::chrono::milliseconds(pause_milliseconds));
      candidate.worker->ask(candidate.warm_up);
      candidate.timing.samples.push_back(median(candidate.worker->ask(candidate.measure)));
    }
  for (Candidate& candidate : candidates) {
    candidate.timing.milliseconds = median(candidate.timing.samples);
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

const Timing* Comparison::best_other(int threads) const {
  const Timing* found = nullptr;
  for (const Peer& peer : what.peers)
    if (const Timing* timing = best(peer.name, threads);
        timing && (!found || figure(*timing) < figure(*found)))
      found = timing;
  return found;
}

Spread Comparison::spread(int threads) const {
  const Timing *own = best("lariat", threads), *other = best_other(threads);
  if (!own || !other) return spread_of({});
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(own->samples.size(), other->samples.size()); ++i)
    ratios.push_back(other->samples[i] / own->samples[i]);
  return spread_of(std::move(ratios));
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
