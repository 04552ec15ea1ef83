#include "benchmarks/changes.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lariat::benchmarks {

namespace {

// How good a case was: more is better.
Spread standing_of(const Comparison& c, bool beside_others) {
  if (beside_others) return c.spread();
  std::vector<double> speeds;
  for (const double sample : c.best("lariat")->samples) speeds.push_back(1 / sample);
  return spread_of(std::move(speeds));
}

}  // namespace

int print_changes(const Results& results, const std::string& path) {
  const Results old = read_results(path);
  fmt::print("\nsince {}; those without another side by their own speed\n", path);
  int slower = 0;
  for (const Comparison& c : results.comparisons) {
    const auto before = std::ranges::find_if(old.comparisons,
                                             [&](const Comparison& o) { return o.what.name == c.what.name; });
    if (before == old.comparisons.end()) continue;
    const Timing *other = c.best_other(), *other_before = before->best_other();
    const bool beside_others = other && other_before && other->side == other_before->side;
    const Spread now = standing_of(c, beside_others), then = standing_of(*before, beside_others);
    const bool is_slower = now.high<then.low, is_faster = now.low> then.high;
    slower += is_slower;
    fmt::print(
        "{:44} {:>7.3f}x  {}{}\n", c.what.name, now.middle / then.middle,
        is_slower   ? "slower"
        : is_faster ? "faster"
                    : "not separable",
        beside_others ? fmt::format(", beside {}: {} after {}", other->side, now.text(), then.text()) : "");
  }
  fmt::print("{} cases became slower by more than their intervals explain\n", slower);
  return slower;
}

}  // namespace lariat::benchmarks
