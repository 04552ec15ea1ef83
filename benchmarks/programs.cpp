#include "benchmarks/programs.hpp"

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <memory>

#include "benchmarks/worker_process.hpp"
#include "frontends/speech/subprocess.hpp"
#include "graph/base/error.hpp"

namespace lariat::benchmarks {

namespace {

double milliseconds_of(const std::function<void()>& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

// For a program in which nothing but the header stands.
Timing compile_header(const std::string& side) {
  const std::string header = side == "lariat" ? "frontends/lariat.hpp" : "torch/torch.h";
  const std::vector<std::string> command{"g++",      "-std=c++20",  "-fsyntax-only", "-I" LARIAT_SOURCE,
                                         "-isystem", TORCH_HEADERS, "-include",      header,
                                         "-x",       "c++",         "/dev/null"};
  return {side, "default", 1, milliseconds_of([&] {
            if (speech::run_program(command, "install it").status != 0)
              throw JobError(fmt::format("the compiler does not take {}", header));
          })};
}

Timing run_program(const std::string& side, const std::filesystem::path& program) {
  std::unique_ptr<WorkerProcess> process;
  const double milliseconds = milliseconds_of([&] {
    process = std::make_unique<WorkerProcess>(program, "start", 1, "default");
    process->version();
  });
  return {side, "default", 1, milliseconds, process->peak_megabytes()};
}

Timing medians(const Case& what, const std::string& side, const std::filesystem::path& folder, bool quick) {
  const bool compiles = what.model == Model::header_compile;
  std::vector<double> milliseconds, megabytes;
  for (int i = 0; i < (compiles && quick ? 1 : compiles || quick ? 3 : 15); ++i) {
    const Timing timing = compiles ? compile_header(side) : run_program(side, folder / (side + "_program"));
    milliseconds.push_back(timing.milliseconds);
    megabytes.push_back(timing.peak_megabytes);
  }
  const bool counts_memory = what.model == Model::program_memory;
  return {
      side, "default", 1, median(milliseconds), median(megabytes), counts_memory ? megabytes : milliseconds};
}

}  // namespace

Comparison compare_programs(const Case& what, const std::filesystem::path& folder, bool quick) {
  Comparison result{what, {medians(what, "lariat", folder, quick)}, {}};
  try {
    result.timings.push_back(medians(what, what.peers.front().name, folder, quick));
  } catch (const JobError& error) {
    fmt::print(stderr, "{} is left out: {}\n", what.peers.front().name, error.what());
  }
  return result;
}

}  // namespace lariat::benchmarks
