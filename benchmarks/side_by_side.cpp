// Lariat and libtorch on the same models, side by side.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <regex>

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
  bool quick = false, without_compiled = false;
  std::string filter, json, html, compare;
  std::vector<std::string> from;
  int threads = 0;
  double seconds = 0;
};

constexpr double seconds_per_case = 40, quick_seconds_per_case = 8;

// The cases with `filter` in their names, as far as their data are there.
std::vector<Case> chosen_cases(const std::string& filter) {
  std::regex pattern;
  try {
    pattern = filter;
  } catch (const std::regex_error& error) {
    throw UserError(fmt::format("--filter '{}' is no regular expression: {}", filter, error.what()));
  }
  std::vector<Case> chosen;
  for (const Case& c : cases()) {
    if (!std::regex_search(c.name, pattern)) continue;
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

// Says on a terminal what is being measured, on a line that the next one takes.
void print_progress(size_t done, size_t all, const std::string& name, double seconds_left) {
  if (isatty(STDERR_FILENO))
    fmt::print(stderr, "\r\x1b[K{} of {}, about {:.0f} s left: {}\r", done + 1, all, seconds_left, name);
}

void write_file(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

// Runs the cases, and prints each as soon as it has been.
Results measured(const Options& options, const std::filesystem::path& folder) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const std::vector<Case> chosen = chosen_cases(options.filter);
  const double seconds = options.seconds > 0 ? options.seconds
                                             : (options.quick ? quick_seconds_per_case : seconds_per_case) *
                                                   static_cast<double>(chosen.size());
  const std::vector<Side> sides = present_sides(folder, chosen);
  Results results;
  results.threads = options.threads > 0 ? options.threads : available_threads();
  results.machine = measure_machine(results.threads);
  for (const Side& side : sides) results.versions.push_back(side.name + " " + side.version);
  std::cout << describe(results) << std::flush;
  print_heading();
  for (size_t i = 0; i < chosen.size(); ++i) {
    const Case& c = chosen[i];
    // What one case leaves over is for those that follow.
    const double left = std::max(0.0, seconds - std::chrono::duration<double>(Clock::now() - begin).count());
    print_progress(i, chosen.size(), c.name, left);
    const Pace pace{options.quick, !options.quick && !options.without_compiled,
                    left / static_cast<double>(chosen.size() - i)};
    results.comparisons.push_back(is_program(c) ? compare_programs(c, folder, options.quick)
                                                : compare(c, sides, results.machine, pace));
    print_row(results.comparisons.back(), results.machine);
    // A run that is ended has what it measured.
    if (!options.json.empty()) write_file(options.json, json_text(results));
  }
  return results;
}

int run(const Options& options, const std::string& own_program) {
  Results results;
  for (const std::string& path : options.from) add_results(results, read_results(path));
  if (options.from.empty()) {
    results = measured(options, std::filesystem::absolute(own_program).parent_path());
  } else {
    std::cout << describe(results) << std::flush;
    print_heading();
    for (const Comparison& c : results.comparisons) print_row(c, results.machine);
  }
  print_fits(results);
  if (!options.json.empty() && !options.from.empty()) write_file(options.json, json_text(results));
  if (!options.html.empty()) write_file(options.html, page_html(results));
  return !options.compare.empty() && print_changes(results, options.compare) > 0 ? 1 : 0;
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** arguments) {
  lariat::benchmarks::Options options;
  CLI::App app("Lariat and libtorch on the same models, side by side");
  app.add_flag("--quick", options.quick, "fewer and shorter runs");
  app.add_option("--filter", options.filter, "only cases with this regular expression in their names");
  app.add_option("--json", options.json, "write the figures to this file");
  app.add_option("--html", options.html, "write a page of pictures to this file");
  app.add_option(
         "--from", options.from,
         "measure nothing: the figures of runs on one machine, from files of --json; later ones count")
      ->check(CLI::ExistingFile);
  app.add_option("--compare", options.compare,
                 "a file of --json: say what changed; status 1 where a case is slower")
      ->check(CLI::ExistingFile);
  app.add_option(
      "--seconds", options.seconds,
      "how long it may take, as far as three rounds of each case allow; else 40 s a case, 8 s with "
      "--quick");
  app.add_flag("--without-compiled", options.without_compiled,
               "no torch.compile, whose start takes most of a minute; so does --quick");
  app.add_option("--threads", options.threads, "at most so many threads; 0: what the machine allows");
  CLI11_PARSE(app, count, arguments);
  return lariat::benchmarks::status_of("side_by_side",
                                       [&] { return lariat::benchmarks::run(options, arguments[0]); });
}
