#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/cases.hpp"
#include "benchmarks/machine.hpp"
#include "benchmarks/spread.hpp"
#include "benchmarks/worker_process.hpp"

namespace lariat::benchmarks {

/// A program that runs cases.
struct Side {
  std::string name, program, version;
  /// Where its library takes long to load.
  std::shared_ptr<Forkers> forkers = {};
};

/// Lariat and those that `chosen` cases compare it with, from `folder`; a side that was not built or does not
/// start, say for want of a library, is left out with a line on standard error. Throws JobError where lariat
/// does not start.
std::vector<Side> present_sides(const std::filesystem::path& folder, const std::vector<Case>& chosen);

/// The median of one side with so many threads and one setting, and what it is of: one figure of each round.
struct Timing {
  std::string side, setting;
  int threads = 1;
  double milliseconds = 0;
  double peak_megabytes = 0;
  std::vector<double> samples = {};
};

/// The middle one.
double median(std::vector<double> samples);

/// Another side at its best, what it compiles first apart.
struct Rival {
  std::string name;  ///< such as "pytorch, compiled"
  const Timing* timing;
  /// Its time over lariat's, round by round.
  Spread spread;
};

struct Comparison {
  Case what;
  std::vector<Timing> timings;
  /// What both sides computed first, for the record.
  std::vector<double> values;
  /// Whether lariat's values were the same bits with every number of threads; nothing where there was one
  /// number.
  std::optional<bool> same_bits = {};

  /// What the case is about: milliseconds, or the megabytes of program_memory. Less is better.
  double figure(const Timing& timing) const;
  std::string unit() const;
  /// The side's best timing, with exactly so many threads where that is not 0; nullptr where there is
  /// none.
  const Timing* best(const std::string& side, int threads = 0) const;
  /// The best of all sides but lariat.
  const Timing* best_other(int threads = 0) const;
  /// The best other figure over lariat's, round by round, with that number of threads for both, or any for 0;
  /// NaN without one.
  Spread spread(int threads = 0) const;
  double ratio(int threads = 0) const { return spread(threads).middle; }
  /// All that were measured, in the order of the case's peers.
  std::vector<Rival> rivals() const;
  /// The same beside the best without passive waiting, which has to be asked for.
  double ratio_as_it_comes() const;
  /// The share of the machine's measured limit that lariat's best timing reaches; NaN where none applies.
  double peak_share(const Machine& machine) const;
  double bandwidth_share(const Machine& machine) const;
};

/// How long a case is measured.
struct Pace {
  /// Shorter turns.
  bool quick = false;
  /// With settings that compile first, which takes most of a minute.
  bool compiled = true;
  /// What it may take, its start included; at least three rounds are made.
  double seconds = 40;
};

/// Runs a case on its sides, as far as they are among `sides`, with each of the machine's numbers of threads
/// and each setting, in turns, after checking that all compute the same: what disturbs the machine meets all
/// of them. After two rounds, settings that are far behind another one of the same side, threads and kind of
/// waiting are given up. Another side that fails or computes something else is left out, with a line on
/// standard error.
Comparison compare(const Case& what, const std::vector<Side>& sides, const Machine& machine,
                   const Pace& pace);

}  // namespace lariat::benchmarks
