#include <cmath>

#include "benchmarks/fit.hpp"
#include "benchmarks/results.hpp"
#include "graph/base/json.hpp"

namespace lariat::benchmarks {

namespace {

Json number_or_null(double value) { return std::isnan(value) ? Json() : Json(value); }

Json to_json(const Comparison& c, const Machine& machine) {
  Json timings = Json::array();
  for (const Timing& t : c.timings)
    timings.push_back({{"side", t.side},
                       {"setting", t.setting},
                       {"threads", t.threads},
                       {"ms", t.milliseconds},
                       {"samples", t.samples},
                       {"peak_mb", t.peak_megabytes}});
  Json row{{"name", c.what.name},
           {"other", c.best_other() ? c.best_other()->side : ""},
           {"ratio", number_or_null(c.ratio())},
           {"ratio_low", number_or_null(c.spread().low)},
           {"ratio_high", number_or_null(c.spread().high)},
           {"separable", c.spread().differs()},
           {"ratio_as_it_comes", number_or_null(c.ratio_as_it_comes())},
           {"ratio_one_thread", number_or_null(c.ratio(1))},
           {"peak_share", number_or_null(c.peak_share(machine))},
           {"bandwidth_share", number_or_null(c.bandwidth_share(machine))},
           {"values", c.values},
           {"same_bits", c.same_bits ? Json(*c.same_bits) : Json()},
           {"timings", timings}};
  std::vector<std::string> sides{"lariat"};
  for (const Peer& peer : c.what.peers) sides.push_back(peer.name);
  for (const std::string& side : sides) {
    const Timing* best = c.best(side);
    row[side + (c.unit() == "MB" ? "_mb" : "_ms")] = best ? Json(c.figure(*best)) : Json();
    row[side + "_threads"] = best ? Json(best->threads) : Json();
  }
  return row;
}

Json to_json(const Fit& fit) {
  Json points = Json::array();
  for (const Fit::Point& point : fit.points) points.push_back({point.amount, point.milliseconds});
  return {{"name", fit.name},       {"amount", fit.amount},
          {"threads", fit.threads}, {"intercept_ms", fit.intercept},
          {"slope_ms", fit.slope},  {"r_squared", fit.r_squared},
          {"points", points}};
}

Json to_json(const Machine& machine, const std::vector<std::string>& versions) {
  Json limits = Json::array();
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
  Json rows = Json::array();
  for (const Comparison& comparison : results.comparisons)
    rows.push_back(to_json(comparison, results.machine));
  Json lines = Json::array();
  for (const Fit& fit : fits(results.comparisons)) lines.push_back(to_json(fit));
  const Json all{{"machine", to_json(results.machine, results.versions)}, {"cases", rows}, {"fits", lines}};
  return to_text(all, 1) + "\n";
}

}  // namespace lariat::benchmarks
