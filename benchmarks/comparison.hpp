#pragma once

#include <string>
#include <vector>

#include "benchmarks/cases.hpp"
#include "benchmarks/machine.hpp"

namespace lariat::benchmarks {

/// One program that runs the cases.
struct Side {
  std::string name, program;
  std::vector<std::string> settings;
};

/// The median of one side with so many threads and one setting.
struct Timing {
  std::string side, setting;
  int threads = 1;
  double milliseconds = 0;
  double peak_megabytes = 0;
};

struct Comparison {
  Case what;
  std::vector<Timing> timings;
  /// What both sides computed first, for the record.
  std::vector<double> values;
  /// Turns taken although the machine did not give its measured speed for seconds.
  int disturbed = 0;

  /// The side's fastest timing, with exactly so many threads where that is not 0; nullptr where there is
  /// none.
  const Timing* best(const std::string& side, int threads = 0) const;
  /// libtorch's best time over lariat's, with that number of threads for both, or any for 0; NaN without one.
  double ratio(int threads = 0) const;
  /// The share of the machine's measured limit that lariat's best timing reaches; NaN where none applies.
  double peak_share(const Machine& machine) const;
  double bandwidth_share(const Machine& machine) const;
};

/// Runs a case on all sides with each of the machine's numbers of threads and each setting, in turns, after
/// checking that all compute the same. Before each turn it waits for an undisturbed machine. Throws JobError
/// where they do not.
Comparison compare(const Case& what, const std::vector<Side>& sides, const Machine& machine, bool quick);

/// The versions that the sides' programs give.
std::vector<std::string> versions(const std::vector<Side>& sides);

}  // namespace lariat::benchmarks
