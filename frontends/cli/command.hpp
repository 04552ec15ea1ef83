#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lariat::cli {

using Strings = std::vector<std::string>;

/// Under which heading --help lists a command, in this order.
enum class CommandGroup { none, beginning, models, uses, files, linear, graphs };

/// One word of the command line and what it does. `run` gets the words after it and throws where it fails.
struct Command {
  std::string_view name;
  std::string_view doc;  ///< one line
  void (*run)(const Strings& arguments);
  CommandGroup group = CommandGroup::none;
};

/// Runs the command that arguments[0] names, or prints the list for --help. `program` is what stands before
/// it on the command line: "lariat", "lariat ops". Throws UsageError for a missing or unknown name.
void dispatch(const std::string& program, const std::vector<Command>& commands, const Strings& arguments);

}  // namespace lariat::cli
