#include "frontends/cli/rank.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "frontends/cli/console.hpp"
#include "frontends/cli/interrupt.hpp"
#include "graph/base/build_name.hpp"
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

// With what this process ends, where MPI itself does not.
int status_at_end = EXIT_SUCCESS;
std::string reason_at_end;

// Whether another of the processes that were started together says why they end.
bool another_speaks = false;

// Lines that only say something, if that there is no such command.
bool only_tells(const std::vector<Command>& commands, const Strings& arguments) {
  const auto asks = [](const std::string& word) {
    return word == "--help" || word == "-h" || word == "--version" || word == "help";
  };
  return arguments.empty() || std::any_of(arguments.begin(), arguments.end(), asks) ||
         std::none_of(commands.begin(), commands.end(),
                      [&](const Command& command) { return command.name == arguments[0]; });
}

// All work is done and written then. The first rank speaks, and launchers end the others with it.
void end_without_mpi() {
  const Ranks& ranks = *ranks_of_process();
  if (ranks.rank() != 0) std::this_thread::sleep_for(std::chrono::seconds(1));
  if (ranks.rank() == 0) {
    speak_again();
    if (!reason_at_end.empty()) report(reason_at_end);
    report(fmt::format(
        "all ranks are done and everything is written, but {} does not end (MPI_Finalize), so that its "
        "launcher may report a failure; with UCX over TCP this is known, and Open MPI does not have it",
        ranks.name()));
  }
  std::_Exit(status_at_end);
}

RanksOptions ranks_options() {
  RanksOptions options;
  options.stop = &Interruption::flag_of_process();
  options.when_end_hangs = end_without_mpi;
  if (const char* limit = std::getenv(limit_variable)) {
    const std::string_view text(limit);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), options.limit_seconds);
    if (error != std::errc() || end != text.data() + text.size() || !(options.limit_seconds >= 1))
      throw UserError(fmt::format("{} is '{}'; it must be a number of seconds from 1", limit_variable, text));
  }
  return options;
}

// Of several that were started together, whatever has started them, the first speaks.
void be_silent_unless_first(const MpiStart& start) {
  const char* task = std::getenv("SLURM_PROCID");
  another_speaks =
      start.rank != 0 || (start.module.empty() && task != nullptr && std::string_view(task) != "0");
  if (another_speaks) silence_all();
}

}  // namespace

void join_ranks(const std::vector<Command>& commands, const Strings& arguments) {
  MpiStart start;
  try {
    start = mpi_start();
  } catch (const UserError&) {
    be_silent_unless_first(start);
    throw;
  }
  if (start.module.empty()) return;
  be_silent_unless_first(start);
  if (only_tells(commands, arguments)) return;
  if (std::find(on_ranks.begin(), on_ranks.end(), arguments[0]) == on_ranks.end()) {
    if (start.size == 1) return;
    throw UserError(
        fmt::format("lariat {} runs as one process, but was started by {}; start it without, or with "
                    "LARIAT_MPI=none for as many runs",
                    arguments[0], start.by));
  }
  const RanksOptions options = ranks_options();
  set_ranks_of_process(std::make_shared<Ranks>(mpi_transport(start), options));
  on_host = start.on_host;
  Ranks& ranks = *ranks_of_process();
  if (ranks.rank() != 0) {
    silence_all();
    AtomicFile::discard_all();
  }
  ranks.agree({{"another build of lariat", build_name()}, {"another command", "lariat " + arguments[0]}});
}

void let_first_speak() {
  if (another_speaks && !ranks_of_process()) std::this_thread::sleep_for(std::chrono::seconds(1));
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
    let_first_speak();
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
  status_at_end = EXIT_FAILURE;
  reason_at_end = why;
  leave_ranks();
  set_ranks_of_process(nullptr);
  throw JobError(why);
}

}  // namespace lariat::cli
