#pragma once

#include <string>
#include <vector>

namespace lariat::speech {

/// What a program did.
struct Ran {
  int status = 0;  ///< the exit status, 128 + the signal where one ended it
  std::string output;
};

/// Runs a program, found by PATH and without a shell, and waits for it. Its input is empty, its messages are
/// dropped. Throws UserError, ending in `advice`, where the program cannot be started.
Ran run_program(const std::vector<std::string>& command, const std::string& advice);

}  // namespace lariat::speech
