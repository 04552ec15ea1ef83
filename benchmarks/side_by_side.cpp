// Lariat and libtorch on the same models, side by side.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "benchmarks/comparison.hpp"
#include "graph/atomic_file.hpp"
#include "graph/error.hpp"
#include "graph/exec/executor.hpp"

namespace lariat::benchmarks {

namespace {

struct Options {
  bool quick = false;
  std::string filter, json;
  int threads = 0;
};

std::vector<Case> chosen_cases(const std::string& filter) {
  std::vector<Case> chosen;
  for (const Case& c : cases())
    if (c.name.find(filter) != std::string::npos) chosen.push_back(c);
  if (chosen.empty()) throw UserError(fmt::format("no benchmark has '{}' in its name", filter));
  return chosen;
}

std::string percent(double share) { return std::isnan(share) ? "-" : fmt::format("{:.0f}%", 100 * share); }
std::string times(double ratio) { return std::isnan(ratio) ? "-" : fmt::format("{:.2f}x", ratio); }
std::string milliseconds(const Timing* timing) {
  return timing ? fmt::format("{:.3f} ({})", timing->milliseconds, timing->threads) : "-";
}

void print_heading() {
  fmt::print("{:44} {:>14} {:>14} {:>10} {:>8} {:>9} {:>8} {:>8} {:>7} {:>7}\n", "case", "lariat ms (t)",
             "other ms (t)", "beside", "ratio", "1 thread", "of peak", "of mem", "scaling", "MB");
}

void print_row(const Comparison& c, const Machine& machine) {
  const Timing *best = c.best("lariat"), *one = c.best("lariat", 1);
  fmt::print("{:44} {:>14} {:>14} {:>10} {:>8} {:>9} {:>8} {:>8} {:>7} {:>7.0f}\n", c.what.name,
             milliseconds(best), milliseconds(c.best(c.what.other)), c.what.other, times(c.ratio()),
             times(c.ratio(1)), percent(c.peak_share(machine)), percent(c.bandwidth_share(machine)),
             times(one->milliseconds / best->milliseconds), best->peak_megabytes);
  if (c.disturbed > 0) fmt::print("  {} turns were taken on a disturbed machine\n", c.disturbed);
  std::fflush(stdout);
}

nlohmann::json number_or_null(double value) {
  return std::isnan(value) ? nlohmann::json() : nlohmann::json(value);
}

nlohmann::json to_json(const Comparison& c, const Machine& machine) {
  nlohmann::json timings = nlohmann::json::array();
  for (const Timing& t : c.timings)
    timings.push_back({{"side", t.side},
                       {"setting", t.setting},
                       {"threads", t.threads},
                       {"ms", t.milliseconds},
                       {"peak_mb", t.peak_megabytes}});
  const Timing *own = c.best("lariat"), *other = c.best(c.what.other);
  return {{"name", c.what.name},
          {"lariat_ms", own->milliseconds},
          {"other", c.what.other},
          {c.what.other + "_ms", other ? nlohmann::json(other->milliseconds) : nlohmann::json()},
          {"ratio", number_or_null(c.ratio())},
          {"ratio_one_thread", number_or_null(c.ratio(1))},
          {"lariat_threads", own->threads},
          {c.what.other + "_threads", other ? nlohmann::json(other->threads) : nlohmann::json()},
          {"peak_share", number_or_null(c.peak_share(machine))},
          {"bandwidth_share", number_or_null(c.bandwidth_share(machine))},
          {"values", c.values},
          {"disturbed_turns", c.disturbed},
          {"timings", timings}};
}

nlohmann::json to_json(const Machine& machine, const std::vector<std::string>& versions) {
  nlohmann::json limits = nlohmann::json::array();
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

int run(const Options& options, const std::string& own_program) {
  const std::vector<Case> chosen = chosen_cases(options.filter);
  const std::vector<Side> sides = present_sides(std::filesystem::absolute(own_program).parent_path(), chosen);
  const int threads = options.threads > 0 ? options.threads : available_threads();
  const Machine machine = measure_machine(threads);
  std::vector<std::string> versions;
  for (const Side& side : sides) versions.push_back(side.name + " " + side.version);
  fmt::print("{}, OpenBLAS core {}, {} threads, g++ {}; {}\n", machine.processor, machine.openblas_core,
             threads, machine.compiler, fmt::join(versions, ", "));
  for (const Limit& limit : machine.limits)
    fmt::print("at most {:.0f} GFLOP/s of products and {:.1f} GB/s of memory with {} threads\n",
               limit.product_gflops, limit.memory_gbytes, limit.threads);
  if (threads > 1)
    fmt::print("a cache line takes {:.0f} ns from core to core and back\n", machine.handover_nanoseconds);
  print_heading();
  nlohmann::json rows = nlohmann::json::array();
  for (const Case& c : chosen) {
    const Comparison comparison = compare(c, sides, machine, options.quick);
    print_row(comparison, machine);
    rows.push_back(to_json(comparison, machine));
  }
  if (!options.json.empty()) {
    const nlohmann::json all{{"machine", to_json(machine, versions)}, {"cases", rows}};
    AtomicFile file(options.json);
    file.write(all.dump(1) + "\n");
    file.commit();
  }
  return 0;
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** arguments) {
  lariat::benchmarks::Options options;
  CLI::App app("Lariat and libtorch on the same models, side by side");
  app.add_flag("--quick", options.quick, "fewer and shorter runs");
  app.add_option("--filter", options.filter, "only cases with this in their names");
  app.add_option("--json", options.json, "write the figures to this file");
  app.add_option("--threads", options.threads, "at most so many threads; 0: what the machine allows");
  CLI11_PARSE(app, count, arguments);
  try {
    return lariat::benchmarks::run(options, arguments[0]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
