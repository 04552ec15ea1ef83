// Lariat and libtorch on the same models, side by side.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "benchmarks/changes.hpp"
#include "benchmarks/data.hpp"
#include "benchmarks/programs.hpp"
#include "benchmarks/results.hpp"
#include "benchmarks/status.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::benchmarks {

namespace {

struct Options {
  bool quick = false;
  std::string filter, json, html, compare;
  int threads = 0;
};

// The cases with `filter` in their names, as far as their data are there.
std::vector<Case> chosen_cases(const std::string& filter) {
  std::vector<Case> chosen;
  for (const Case& c : cases()) {
    if (c.name.find(filter) == std::string::npos) continue;
    if (c.model == Model::features && data_path("fsdd").empty()) {
      fmt::print(stderr, "{} is left out: LARIAT_DATA names no folder with the recordings, fsdd\n", c.name);
    } else {
      chosen.push_back(c);
    }
  }
  if (chosen.empty())
    throw UserError(fmt::format("no benchmark that can be run has '{}' in its name", filter));
  return chosen;
}

void write_file(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

int run(const Options& options, const std::string& own_program) {
  const std::filesystem::path folder = std::filesystem::absolute(own_program).parent_path();
  const std::vector<Case> chosen = chosen_cases(options.filter);
  const std::vector<Side> sides = present_sides(folder, chosen);
  Results results;
  results.threads = options.threads > 0 ? options.threads : available_threads();
  results.machine = measure_machine(results.threads);
  for (const Side& side : sides) results.versions.push_back(side.name + " " + side.version);
  std::cout << describe(results) << std::flush;
  print_heading();
  for (const Case& c : chosen) {
    results.comparisons.push_back(is_program(c) ? compare_programs(c, folder, options.quick)
                                                : compare(c, sides, results.machine, options.quick));
    print_row(results.comparisons.back(), results.machine);
  }
  print_fits(results);
  if (!options.json.empty()) write_file(options.json, json_text(results));
  if (!options.html.empty()) write_file(options.html, page_html(results));
  return !options.compare.empty() && print_changes(results, options.compare) > 0 ? 1 : 0;
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** arguments) {
  lariat::benchmarks::Options options;
  CLI::App app("Lariat and libtorch on the same models, side by side");
  app.add_flag("--quick", options.quick, "fewer and shorter runs");
  app.add_option("--filter", options.filter, "only cases with this in their names");
  app.add_option("--json", options.json, "write the figures to this file");
  app.add_option("--html", options.html, "write a page of pictures to this file");
  app.add_option("--compare", options.compare,
                 "a file of --json: say what changed; status 1 where a case is slower")
      ->check(CLI::ExistingFile);
  app.add_option("--threads", options.threads, "at most so many threads; 0: what the machine allows");
  CLI11_PARSE(app, count, arguments);
  return lariat::benchmarks::status_of("side_by_side",
                                       [&] { return lariat::benchmarks::run(options, arguments[0]); });
}
