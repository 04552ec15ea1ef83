#pragma once

#include <string>
#include <vector>

namespace lariat::cli {

/// A word as a shell takes it: in quotes where it must be.
std::string quoted(const std::string& word);

/// The command that was given by `words`, as it is typed, without the option `without` and its value ("":
/// none) and with `more` behind it, where that is not there yet.
std::string command_again(const std::string& command, const std::vector<std::string>& words,
                          const std::string& without, const std::string& more);

}  // namespace lariat::cli
