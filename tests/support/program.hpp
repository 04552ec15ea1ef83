#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace lariat::testing {

/// What a child process did.
struct ProgramRun {
  int status = -1;  ///< exit status, or 128 + the signal that ended it
  std::string out, err;
};

struct ProgramOptions {
  /// Another program than the one that LARIAT_PROGRAM names.
  std::string program = {};
  std::map<std::string, std::string> environment = {};
  /// The largest file that the child may write, in bytes; more fails as a full disk does. 0: no limit.
  uint64_t largest_file = 0;
  /// Sends SIGINT once standard error holds this text.
  std::string interrupt_after = {};
  /// Sends `signal` so long after the start, where it is not 0.
  int signal = 0;
  std::chrono::microseconds signal_after = {};
  /// Gives the child a terminal of that width for its standard error; 0: a file.
  int terminal_columns = 0;
};

/// Runs the program that the environment variable LARIAT_PROGRAM names. A child that takes longer than two
/// minutes is ended, and its status is then 128 + SIGKILL.
ProgramRun run_lariat(const std::vector<std::string>& arguments, const ProgramOptions& options = {});

/// Whether LARIAT_PROGRAM names a program; else marks the test case as skipped.
bool have_lariat();

}  // namespace lariat::testing
