#include "frontends/cli/rank.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "frontends/cli/console.hpp"
#include "frontends/cli/interrupt.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/ranks/mpi_transport.hpp"

namespace lariat::cli {

namespace {

constexpr std::array<std::string_view, 4> on_ranks{"train", "search", "solve", "path"};

// After how many seconds without a sign of life a rank is given up.
constexpr const char* limit_variable = "LARIAT_RANK_LIMIT";

int on_host = 0;

// Lines that only say something.
bool only_tells(const Strings& arguments) {
  return arguments.empty() || std::any_of(arguments.begin(), arguments.end(), [](const std::string& word) {
           return word == "--help" || word == "-h" || word == "--version" || word == "help";
         });
}

}  // namespace

void join_ranks(const Strings& arguments) {
  MpiStart start;
  try {
    if (only_tells(arguments)) {
      if (mpi_start().rank != 0) silence_all();
      return;
    }
    start = mpi_start();
    if (start.module.empty()) return;
    if (start.rank != 0) silence_all();
    if (std::find(on_ranks.begin(), on_ranks.end(), arguments[0]) == on_ranks.end()) {
      if (start.size == 1) return;
      throw UserError(
          fmt::format("lariat {} runs as one process, but was started by {}; start it without, or with "
                      "LARIAT_MPI=none for as many runs",
                      arguments[0], start.by));
    }
    RanksOptions options;
    options.stop = &Interruption::flag_of_process();
    if (const char* limit = std::getenv(limit_variable)) {
      const std::string_view text(limit);
      const auto [end, error] =
          std::from_chars(text.data(), text.data() + text.size(), options.limit_seconds);
      if (error != std::errc() || end != text.data() + text.size() || !(options.limit_seconds >= 1))
        throw UserError(
            fmt::format("{} is '{}'; it must be a number of seconds from 1", limit_variable, text));
    }
    set_ranks_of_process(std::make_shared<Ranks>(mpi_transport(start), options));
  } catch (const UserError&) {
    // Whatever has started several, the first of them says it.
    const char* task = std::getenv("SLURM_PROCID");
    if (start.rank != 0 || (start.module.empty() && task != nullptr && std::string_view(task) != "0"))
      _exit(2);
    throw;
  }
  on_host = start.on_host;
  if (ranks_of_process()->rank() == 0) return;
  silence_all();
  AtomicFile::discard_all();
}

std::optional<int64_t> threads_of_rank() {
  if (!ranks_of_process()) return std::nullopt;
  const int available = available_threads();
  cpu_set_t set;
  const bool bound =
      sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) < sysconf(_SC_NPROCESSORS_ONLN);
  return bound || on_host == 0 ? available : std::max(1, available / on_host);
}

std::string ranks_summary() {
  const auto& ranks = ranks_of_process();
  if (!ranks || ranks->size() == 1) return {};
  const Traffic traffic = ranks->traffic();
  constexpr double megabyte = 1e6;
  return fmt::format(
      "{} ranks ({}): rank 0 sent {:.1f} MB of sums, {:.1f} MB had it sent zeros too, and waited {:.1f} s\n",
      ranks->size(), ranks->name(), static_cast<double>(traffic.sum_bytes) / megabyte,
      static_cast<double>(traffic.dense_bytes) / megabyte, traffic.seconds_waited);
}

int end_for(const std::string& why, int status) {
  const auto& ranks = ranks_of_process();
  if (!ranks) {
    report(why);
    return status;
  }
  ranks->leave(why, [](const std::string& line) {
    speak_again();
    report(line);
  });
}

void leave_ranks() {
  if (const auto& ranks = ranks_of_process()) ranks->finish();
}

void fail_together(const std::string& why) {
  leave_ranks();
  set_ranks_of_process(nullptr);
  throw JobError(why);
}

}  // namespace lariat::cli
