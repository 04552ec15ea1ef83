#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "benchmarks/fit.hpp"
#include "benchmarks/results.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::benchmarks {

namespace {

Json number_or_null(double value) { return std::isnan(value) ? Json() : Json(value); }

// Four digits are more than a turn tells.
std::vector<double> rounded(std::vector<double> samples) {
  for (double& sample : samples) sample = std::stod(fmt::format("{:.4g}", sample));
  return samples;
}

Json to_json(const Comparison& c, const Machine& machine) {
  Json timings = Json::array();
  for (const Timing& t : c.timings)
    timings.push_back({{"side", t.side},
                       {"setting", t.setting},
                       {"threads", t.threads},
                       {"ms", t.milliseconds},
                       {"samples", rounded(t.samples)},
                       {"peak_mb", t.peak_megabytes}});
  Json beside = Json::array();
  for (const Rival& rival : c.rivals())
    beside.push_back({{"name", rival.name},
                      {"figure", c.figure(*rival.timing)},
                      {"threads", rival.timing->threads},
                      {"setting", rival.timing->setting},
                      {"ratio", number_or_null(rival.spread.middle)},
                      {"ratio_low", number_or_null(rival.spread.low)},
                      {"ratio_high", number_or_null(rival.spread.high)}});
  Json by_threads;
  for (const Limit& limit : machine.limits)
    if (const Timing* timing = c.best("lariat", limit.threads))
      by_threads[std::to_string(limit.threads)] = timing->milliseconds;
  return {{"name", c.what.name},
          {"unit", c.unit()},
          {"figure", c.figure(*c.best("lariat"))},
          {"threads", c.best("lariat")->threads},
          {"by_threads", by_threads},
          {"beside", beside},
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

Comparison comparison_from(const Json& row) {
  Comparison c{find_case(row.at("name").get<std::string>()), {}, {}};
  row.at("values").get_to(c.values);
  if (!row.at("same_bits").is_null()) c.same_bits = row.at("same_bits").get<bool>();
  for (const Json& t : row.at("timings"))
    c.timings.push_back({t.at("side").get<std::string>(), t.at("setting").get<std::string>(),
                         t.at("threads").get<int>(), t.at("ms").get<double>(), t.at("peak_mb").get<double>(),
                         t.at("samples").get<std::vector<double>>()});
  if (!c.best("lariat")) throw UserError(c.what.name + " has no figure of lariat's");
  return c;
}

Machine machine_from(const Json& json) {
  Machine machine{json.at("processor").get<std::string>(),
                  json.at("openblas_core").get<std::string>(),
                  json.at("compiler").get<std::string>(),
                  {},
                  json.at("handover_ns").get<double>()};
  for (const Json& limit : json.at("limits"))
    machine.limits.push_back({limit.at("threads").get<int>(), limit.at("product_gflops").get<double>(),
                              limit.at("memory_gbytes").get<double>()});
  if (machine.limits.empty()) throw UserError("it names no limits");
  return machine;
}

Results results_from(const Json& json) {
  Results results;
  const Json& machine = json.at("machine");
  results.machine = machine_from(machine);
  results.threads = results.machine.limits.back().threads;
  machine.at("versions").get_to(results.versions);
  for (const Json& row : json.at("cases")) results.comparisons.push_back(comparison_from(row));
  return results;
}

}  // namespace

Results read_results(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  try {
    return results_from(Json::parse(text.str()));
  } catch (const std::exception& error) {
    throw UserError(
        fmt::format("'{}' holds no figures of a run, such as --json writes: {}", path, error.what()));
  }
}

void add_results(Results& results, const Results& more) {
  if (results.comparisons.empty()) results.machine = more.machine;
  if (results.machine.processor != more.machine.processor)
    throw UserError(fmt::format("figures of {} and of {} are not put into one table",
                                results.machine.processor, more.machine.processor));
  results.threads = std::max(results.threads, more.threads);
  for (const std::string& version : more.versions)
    if (std::ranges::find(results.versions, version) == results.versions.end())
      results.versions.push_back(version);
  for (const Comparison& c : more.comparisons) {
    std::erase_if(results.comparisons, [&](const Comparison& old) { return old.what.name == c.what.name; });
    results.comparisons.push_back(c);
  }
  const auto place = [](const Comparison& c) {
    return std::ranges::find(cases(), c.what.name, &Case::name) - cases().begin();
  };
  std::ranges::sort(results.comparisons, {}, place);
}

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
