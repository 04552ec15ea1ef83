#pragma once

#include <string>
#include <vector>

namespace lariat::speech {

/// Runs a program, found by PATH and without a shell, and waits for it. Its input is empty, its messages are
/// dropped, and its output goes to `output_file`. Returns the exit status, 128 + the signal where one ended
/// it. Throws UserError, ending in `advice`, where the program cannot be started.
int run_program(const std::vector<std::string>& command, const std::string& output_file,
                const std::string& advice);

}  // namespace lariat::speech
