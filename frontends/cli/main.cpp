#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <new>

#include "embedded.hpp"
#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/little_memory.hpp"
#include "frontends/cli/rank.hpp"
#include "frontends/data/foreign_names.hpp"
#include "frontends/data/option_table.hpp"
#include "graph/base/error.hpp"
#include "graph/base/instruction_set.hpp"
#include "graph/base/version.hpp"

namespace lariat::cli {

namespace {

// As --help lists them: group by group, by name.
std::vector<Command> all_commands() {
  std::vector<Command> all{
#define LARIAT_COMMAND(name) command_records::name(),
#include "command_records.inc"
#undef LARIAT_COMMAND
  };
  std::stable_sort(all.begin(), all.end(), [](const Command& a, const Command& b) {
    return std::pair(a.group, a.name) < std::pair(b.group, b.name);
  });
  return all;
}

std::string heading(CommandGroup group) {
  switch (group) {
    case CommandGroup::none:
      return "";
    case CommandGroup::beginning:
      return "To begin with\n";
    case CommandGroup::models:
      return "Models\n";
    case CommandGroup::uses:
      return "What a model says\n";
    case CommandGroup::files:
      return "Model files\n";
    case CommandGroup::linear:
      return "Linear models to a certified optimum\n";
    case CommandGroup::graphs:
      return "Graphs and ops\n";
  }
  return "";
}

enum Status { done = 0, failed = 1, bad_input = 2 };

int run(const Strings& arguments) {
  try {
    if (!arguments.empty() && arguments[0] == "--version") {
      print(fmt::format("lariat {}, kernels for {}\n", version, name_of(instruction_set())));
    } else {
      const std::vector<Command> commands = all_commands();
      join_ranks(commands, arguments);
      dispatch("lariat", commands, arguments);
    }
    finish_output();
    leave_ranks();
    return done;
  } catch (const UsageError& error) {
    if (ranks_of_process()) return end_for(error.what(), bad_input);
    note(one_line(error.what()) + "\n");
    let_first_speak();
    return bad_input;
  } catch (const UserError& error) {
    return end_for(error.what(), bad_input);
  } catch (const std::bad_alloc& error) {
    return end_for(want_of_memory(error), bad_input);
  } catch (const JobError& error) {
    return end_for(error.what(), failed);
  } catch (const InternalError& error) {
    return end_for(fmt::format("{}; please report it", error.what()), failed);
  } catch (const std::exception& error) {
    // As oneTBB says it.
    if (std::string_view(error.what()).find("pthread_create") != std::string_view::npos) {
      return end_for("no further thread can be started (ulimit -u, ulimit -v); use --threads 1", bad_input);
    }
    return end_for(fmt::format("internal fault: {}; please report it", error.what()), failed);
  }
}

}  // namespace

void dispatch(const std::string& program, const std::vector<Command>& list, const Strings& arguments) {
  Strings names;
  for (const Command& command : list) names.emplace_back(command.name);
  if (arguments.empty())
    throw UsageError(
        fmt::format("{}: name a command: {}. See {} --help", program, fmt::join(names, ", "), program));
  if (arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "help") {
    std::string text = fmt::format("Usage: {} COMMAND …\n", program);
    for (size_t i = 0; i < list.size(); ++i) {
      if (i == 0 || list[i].group != list[i - 1].group) text += "\n" + heading(list[i].group);
      text += fmt::format("  {:<10} {}\n", list[i].name, list[i].doc);
    }
    if (program == "lariat")
      text +=
          "\nTo begin with a table of your own: lariat recipe new csv > r.toml, then\n  lariat train r.toml "
          "--data "
          "TABLE.csv --set data.target=COLUMN --out MODEL\n";
    text += fmt::format("\n{} COMMAND --help tells more.\n", program);
    return print(text + "Exit status: 0 done; 1 the job itself failed; 2 wrong usage or bad input.\n");
  }
  for (const Command& command : list)
    if (command.name == arguments[0]) return command.run(Strings(arguments.begin() + 1, arguments.end()));
  throw UsageError(fmt::format("{}: there is no command '{}'.{}", program, data::shortened(arguments[0]),
                               data::what_was_meant(arguments[0], names)));
}

}  // namespace lariat::cli

int main(int count, char** words) {
  // A reader that goes away must not end a training run.
  std::signal(SIGPIPE, SIG_IGN);
  // Past a limit on file sizes, writing fails as on a full disk, with a message.
  std::signal(SIGXFSZ, SIG_IGN);
  return lariat::cli::run(lariat::cli::Strings(words + 1, words + std::max(count, 1)));
}
