#include <cmath>

#include "benchmarks/fit.hpp"
#include "benchmarks/results.hpp"
#include "graph/base/json.hpp"

namespace lariat::benchmarks {

namespace {

json number_or_null(double value) { return std::isnan(value) ? json() : json(value); }

json to_json(const Comparison& c, const Machine& machine) {
  json timings = json::array();
  for (const Timing& t : c.timings)
    timings.push_back({{"side", t.side},
                       {"setting", t.setting},
                       {"threads", t.threads},
                       {"ms", t.milliseconds},
                       {"peak_mb", t.peak_megabytes}});
  json row{{"name", c.what.name},
           {"other", c.what.other},
           {"ratio", number_or_null(c.ratio())},
           {"ratio_as_it_comes", number_or_null(c.ratio_as_it_comes())},
           {"ratio_one_thread", number_or_null(c.ratio(1))},
           {"peak_share", number_or_null(c.peak_share(machine))},
           {"bandwidth_share", number_or_null(c.bandwidth_share(machine))},
           {"values", c.values},
           {"same_bits", c.same_bits ? json(*c.same_bits) : json()},
           {"disturbed_turns", c.disturbed},
           {"timings", timings}};
  for (const std::string& side : {std::string("lariat"), c.what.other}) {
    if (side.empty()) continue;
    const Timing* best = c.best(side);
    row[side + (c.unit() == "MB" ? "_mb" : "_ms")] = best ? json(c.figure(*best)) : json();
    row[side + "_threads"] = best ? json(best->threads) : json();
  }
  return row;
}

json to_json(const Fit& fit) {
  json points = json::array();
  for (const Fit::Point& point : fit.points) points.push_back({point.amount, point.milliseconds});
  return {{"name", fit.name},       {"amount", fit.amount},
          {"threads", fit.threads}, {"intercept_ms", fit.intercept},
          {"slope_ms", fit.slope},  {"r_squared", fit.r_squared},
          {"points", points}};
}

json to_json(const Machine& machine, const std::vector<std::string>& versions) {
  json limits = json::array();
  for (const Limit& limit : machine.limits)
    limits.push_back({{"threads", limit.threads},
                      {"product_gflops", limit.product_gflops},
                      {"memory_gbytes", limit.memory_gbytes}});
  return {{"processor", machine.processor},
          {"openblas_core", machine.openblas_core},
          {"compiler", machine.compiler},
          {"versions", versions},
          {"handover_ns", machine.handover_nanoseconds},
          {"limits", limits}};
}

}  // namespace

std::string json_text(const Results& results) {
  json rows = json::array();
  for (const Comparison& comparison : results.comparisons)
    rows.push_back(to_json(comparison, results.machine));
  json lines = json::array();
  for (const Fit& fit : fits(results.comparisons)) lines.push_back(to_json(fit));
  const json all{{"machine", to_json(results.machine, results.versions)}, {"cases", rows}, {"fits", lines}};
  return all.dump(1) + "\n";
}

}  // namespace lariat::benchmarks
