#include "benchmarks/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <thread>

#include "graph/base/error.hpp"

namespace lariat::benchmarks {

namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
constexpr int pause_milliseconds = 5, fewest_rounds = 3, most_rounds = 25, rounds_of_all = 2;
// So long may the scheduler leave two threads that have just woken on one core.
constexpr double warm_up_milliseconds = 30;
// Beside which the warm-up matters little, and a median of one run is enough.
constexpr double long_milliseconds = 100;
// A setting that is so much slower than another is not the side's best one.
constexpr double far_behind = 1.3;
// After the first run, an L1 term moves weights by another rule on one side. Adam's first steps divide each
// gradient by its own size, where one near 0 is all rounding.
constexpr double tolerance = 1e-4, tolerance_with_adam = 1e-3, tolerance_with_l1 = 5e-2;

const Peer lariat{"lariat"};

struct Candidate {
  Timing timing;
  std::unique_ptr<WorkerProcess> worker;
  std::vector<double> values = {};         // of the first runs
  std::string warm_up = {}, measure = {};  // the commands of a turn
  bool given_up = false;
};

bool is_compiled(const Timing& timing) { return timing.setting.ends_with("compiled"); }

// All of a case, on their way.
std::vector<Candidate> start(const Case& what, const std::vector<Side>& sides, const Machine& machine,
                             bool compiled) {
  std::vector<Candidate> candidates;
  std::vector<Peer> peers{lariat};
  peers.insert(peers.end(), what.peers.begin(), what.peers.end());
  for (const Peer& peer : peers) {
    const auto side = std::ranges::find(sides, peer.name, &Side::name);
    if (side == sides.end()) continue;
    for (const Limit& limit : machine.limits)
      for (const std::string& setting : peer.settings) {
        if (limit.threads == 1 && waits_passively(setting)) continue;  // nobody waits
        if (!compiled && setting.ends_with("compiled")) continue;
        candidates.push_back({{side->name, setting, limit.threads},
                              std::make_unique<WorkerProcess>(side->program, what.name, limit.threads,
                                                              setting, side->forkers.get())});
      }
  }
  return candidates;
}

// Does something with each; another side that fails is left out, with a line.
void with_each(std::vector<Candidate>& candidates, const Case& what,
               const std::function<void(Candidate&)>& action) {
  std::erase_if(candidates, [&](Candidate& candidate) {
    try {
      action(candidate);
      return false;
    } catch (const JobError& error) {
      const Timing& timing = candidate.timing;
      if (timing.side == lariat.name) throw;
      fmt::print(stderr, "{}, {}, on {} threads is left out of {}: {}\n", timing.side, timing.setting,
                 timing.threads, what.name, error.what());
      return true;
    }
  });
}

void check_same(const Case& what, const std::vector<double>& expected, const std::vector<double>& found) {
  for (size_t i = 0; i < expected.size(); ++i) {
    const double allowed = i > 0 && what.l1 > 0                   ? tolerance_with_l1
                           : i > 1 && what.update == Update::adam ? tolerance_with_adam
                                                                  : tolerance;
    if (std::abs(found.at(i) - expected[i]) > allowed * std::max(1.0, std::abs(expected[i])))
      throw JobError(fmt::format("its run {} gives {}, lariat's {}: the two do not compute the same", i + 1,
                                 found[i], expected[i]));
  }
}

// Has all compute the case's first runs, at once: they need not be fast.
void check(std::vector<Candidate>& candidates, const Case& what, bool quick) {
  for (Candidate& candidate : candidates) candidate.worker->send(quick ? "check 2" : "check 4");
  std::vector<double> expected;  // lariat's on the least threads, which comes first
  with_each(candidates, what, [&](Candidate& candidate) {
    candidate.values = candidate.worker->receive();
    if (expected.empty()) expected = candidate.values;
    check_same(what, expected, candidate.values);
  });
}

// As many runs as fill `milliseconds`.
int runs_for(double one, double milliseconds) {
  return std::clamp(static_cast<int>(milliseconds / one), 1, 2000);
}

// How often a turn runs.
void plan_turn(Candidate& candidate, bool quick) {
  const double measured = quick ? 15 : 60;
  double one = candidate.worker->ask("run 1").front();
  if (one < long_milliseconds) one = median(candidate.worker->ask("run 3"));
  if (!quick || one < long_milliseconds)
    candidate.warm_up = fmt::format("run {}", runs_for(one, warm_up_milliseconds));
  candidate.measure = fmt::format("run {}", runs_for(one, measured));
}

void take_turn(Candidate& candidate) {
  if (candidate.given_up) return;
  // Idle threads of the one before may still spin.
  std::this_thread::sleep_for(std::chrono::milliseconds(pause_milliseconds));
  if (!candidate.warm_up.empty()) candidate.worker->ask(candidate.warm_up);
  candidate.timing.samples.push_back(median(candidate.worker->ask(candidate.measure)));
}

// Least, since whatever disturbs a turn makes it longer.
double shortest(const Candidate& candidate) { return std::ranges::min(candidate.timing.samples); }

void give_up_those_behind(std::vector<Candidate>& candidates) {
  const auto alike = [](const Timing& a, const Timing& b) {
    return a.side == b.side && a.threads == b.threads &&
           waits_passively(a.setting) == waits_passively(b.setting) && is_compiled(a) == is_compiled(b);
  };
  for (Candidate& candidate : candidates)
    candidate.given_up = std::ranges::any_of(candidates, [&](const Candidate& other) {
      return alike(candidate.timing, other.timing) && shortest(candidate) > far_behind * shortest(other);
    });
}

// The second's time over the first's, round by round.
Spread spread_between(const Timing& own, const Timing& other) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(own.samples.size(), other.samples.size()); ++i)
    ratios.push_back(other.samples[i] / own.samples[i]);
  return spread_of(std::move(ratios));
}

// Starts the worker of a side for a moment.
Side probe(const std::filesystem::path& folder, const Peer& peer, const Case& what) {
  Side side{peer.name, folder / (peer.name + "_worker"), {}};
  // Those in Python.
  if (std::set<std::string>{"onnxruntime", "pytorch", "torchaudio"}.contains(peer.name))
    side.forkers = std::make_shared<Forkers>(side.program);
  side.version =
      WorkerProcess(side.program, what.name, 1, peer.settings.front(), side.forkers.get()).version();
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
      try {
        sides.push_back(probe(folder, peer, what));
      } catch (const JobError& error) {
        fmt::print(stderr, "{} is left out: {}\n", peer.name, error.what());
      }
    }
  }
  return sides;
}

Comparison compare(const Case& what, const std::vector<Side>& sides, const Machine& machine,
                   const Pace& pace) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  const Clock::time_point begin = Clock::now();
  Comparison result{what, {}, {}};
  std::vector<Candidate> candidates = start(what, sides, machine, pace.compiled);
  check(candidates, what, pace.quick);
  result.values = candidates.front().values;
  for (const Candidate& candidate : candidates)
    if (candidate.timing.side == lariat.name && &candidate != &candidates.front())
      result.same_bits = result.same_bits.value_or(true) && candidate.values == result.values;
  with_each(candidates, what, [&](Candidate& candidate) { plan_turn(candidate, pace.quick); });
  double round_seconds = 0;
  for (int round = 0; round < most_rounds; ++round) {
    if (round >= fewest_rounds && seconds_since(begin) + round_seconds > pace.seconds) break;
    const Clock::time_point start_of_round = Clock::now();
    with_each(candidates, what, take_turn);
    round_seconds = seconds_since(start_of_round);
    if (round + 1 == rounds_of_all) give_up_those_behind(candidates);
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
  return own && other ? spread_between(*own, *other) : spread_of({});
}

std::vector<Rival> Comparison::rivals() const {
  std::vector<Rival> all;
  for (const Peer& peer : what.peers)
    for (const bool compiled : {false, true}) {
      const Timing* found = nullptr;
      for (const Timing& timing : timings)
        if (timing.side == peer.name && is_compiled(timing) == compiled &&
            (!found || figure(timing) < figure(*found)))
          found = &timing;
      if (found)
        all.push_back(
            {peer.name + (compiled ? ", compiled" : ""), found, spread_between(*best("lariat"), *found)});
    }
  return all;
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
