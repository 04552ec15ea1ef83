#pragma once

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "frontends/cli/command.hpp"
#include "graph/io/short_numbers.hpp"

namespace lariat::cli {

/// Wrong usage: a line that begins with the program and command, "lariat train: there is no option '--sed'.
/// …".
class UsageError final : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The words of one command: declared, then read. Declarations also make the help text.
class Arguments {
 public:
  /// `command` as it is typed: "lariat train". `example` is one or more lines of a shell.
  Arguments(std::string command, std::string doc, std::string example);

  /// A word without a dash. One that is not `required` keeps its value where it is not given.
  void word(std::string name, std::string& target, std::string doc, bool required = true);
  /// All remaining words.
  void words(std::string name, Strings& target, std::string doc, bool required = true);
  /// --flag VALUE.
  void option(std::string flag, std::string value_name, std::string& target, std::string doc);
  /// Words and --flag FILE that name files to read, where "-" is standard input; at most one may be.
  void input_word(std::string name, std::string& target, std::string doc, bool required = true);
  void input_words(std::string name, Strings& target, std::string doc);
  void input(std::string flag, std::string value_name, std::string& target, std::string doc);
  /// --flag FILE, a file to write, where "-" is standard output; at most one may be, and print() is silenced
  /// then.
  void output(std::string flag, std::string value_name, std::string& target, std::string doc);
  /// --flag VALUE, as often as one likes.
  void repeated(std::string flag, std::string value_name, Strings& target, std::string doc);
  /// --flag VALUE, handed over as text; the handler's UserError is shown with the flag before it.
  void option(std::string flag, std::string value_name, std::function<void(const std::string&)> handler,
              std::string doc);
  void integer(std::string flag, std::optional<int64_t>& target, int64_t lowest, int64_t highest,
               std::string doc);
  /// --flag.
  void flag(std::string flag, bool& target, std::string doc);

  /// --seed and --threads, as every command that computes has them.
  void seed(std::optional<int64_t>& target);
  void threads(std::optional<int64_t>& target);
  /// --plugin FILE, as every command that builds or loads models has it; read() loads these plugins, then
  /// those that LARIAT_PLUGIN_PATH and the installation hold.
  void plugins();
  /// --weights FORM: the numbers that a model's weights are rounded to.
  void weights(NumberForm& target);
  /// --json FILE.
  void json(std::string& target);

  /// Reads the words. False where help was asked for and printed. Throws UsageError.
  bool read(const Strings& words) const;

 private:
  struct Entry {
    std::string name;        // "--seed", or "RECIPE.toml" for a word
    std::string value_name;  // empty for a switch
    std::string doc;
    bool is_word = false, required = false, many = false;
    std::function<void(const Strings&)> set;
  };
  std::string help() const;
  [[noreturn]] void fail(const std::string& message) const;
  [[noreturn]] void unexpected(const std::string& word) const;
  void check_standard_streams() const;
  Strings flags() const;

  std::string command_, doc_, example_;
  std::vector<Entry> entries_;
  bool takes_plugins_ = false;
  // What the inputs and outputs were given as.
  std::vector<std::function<Strings()>> inputs_, outputs_;
};

}  // namespace lariat::cli
