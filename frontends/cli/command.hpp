#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lariat::cli {

using Strings = std::vector<std::string>;

/// One word of the command line and what it does. `run` gets the words after it and throws where it fails.
struct Command {
  std::string_view name;
  std::string_view doc;  ///< one line
  void (*run)(const Strings& arguments);
};

/// Runs the command that arguments[0] names, or prints the list for --help. `program` is what stands before
/// it on the command line: "lariat", "lariat ops". Throws UsageError for a missing or unknown name.
void dispatch(const std::string& program, const std::vector<Command>& commands, const Strings& arguments);

// One file each.
void train(const Strings& arguments);
void evaluate(const Strings& arguments);
void recognize(const Strings& arguments);
void predict(const Strings& arguments);
void features(const Strings& arguments);
void inspect(const Strings& arguments);
void export_model(const Strings& arguments);
void compact(const Strings& arguments);
void convert(const Strings& arguments);
void ops(const Strings& arguments);
void graph(const Strings& arguments);
void gradcheck(const Strings& arguments);
void solve(const Strings& arguments);
void path(const Strings& arguments);
void plugin(const Strings& arguments);
void recipe(const Strings& arguments);
void search(const Strings& arguments);
void compare(const Strings& arguments);
void demo(const Strings& arguments);

}  // namespace lariat::cli
