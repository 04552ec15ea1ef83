#include <fmt/format.h>

#include <csignal>
#include <exception>
#include <new>

#include "embedded.hpp"
#include "frontends/cli/arguments.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/little_memory.hpp"
#include "frontends/cli/rank.hpp"
#include "frontends/data/option_table.hpp"
#include "graph/base/error.hpp"
#include "graph/base/instruction_set.hpp"
#include "graph/base/version.hpp"

namespace lariat::cli {

namespace {

const std::vector<Command> commands{
    {"train", "train the model that a recipe describes", train},
    {"search", "try values of a recipe's keys, and train the best", search},
    {"compare", "set runs side by side", compare},
    {"evaluate", "measure a saved model on a data set", evaluate},
    {"recognize", "name what is said in audio files", recognize},
    {"predict", "say what a saved model makes of rows of data", predict},
    {"features", "turn an audio file into features, by Kaldi's options", features},
    {"inspect", "show what a saved model consists of", inspect},
    {"export", "write a saved model as a program in C", export_model},
    {"compact", "take what zeros make useless out of a saved model", compact},
    {"convert", "write a saved model in another form: plain, or with shorter numbers", convert},
    {"graph", "show the training step of a recipe as a graph", graph},
    {"ops", "list the ops, or show one", ops},
    {"gradcheck", "compare gradients of ops with finite differences", gradcheck},
    {"solve", "fit a sparse linear model to high accuracy, with a certificate", solve},
    {"path", "fit it along a sequence of penalties, with cross-validation", path},
    {"plugin", "write a plugin with an op of your own, or check one", plugin},
    {"recipe", "list what a recipe can hold, write one to begin with, or check one", recipe},
    {"demo", "generate spoken digits, train a sparse recogniser on them, use it", demo},
};

enum Status { done = 0, failed = 1, bad_input = 2 };

int run(const Strings& arguments) {
  try {
    if (!arguments.empty() && arguments[0] == "--version") {
      print(fmt::format("lariat {}, kernels for {}\n", version, name_of(instruction_set())));
    } else {
      join_ranks(arguments);
      dispatch("lariat", commands, arguments);
    }
    finish_output();
    leave_ranks();
    return done;
  } catch (const UsageError& error) {
    if (ranks_of_process()) return end_for(error.what(), bad_input);
    note(one_line(error.what()) + "\n");
    return bad_input;
  } catch (const UserError& error) {
    return end_for(error.what(), bad_input);
  } catch (const std::bad_alloc&) {
    return end_for(want_of_memory(), bad_input);
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
    std::string text = fmt::format("Usage: {} COMMAND …\n\n", program);
    for (const Command& command : list) text += fmt::format("  {:<10} {}\n", command.name, command.doc);
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
                               did_you_mean(arguments[0], names)));
}

}  // namespace lariat::cli

int main(int count, char** words) {
  // A reader that goes away must not end a training run.
  std::signal(SIGPIPE, SIG_IGN);
  // Past a limit on file sizes, writing fails as on a full disk, with a message.
  std::signal(SIGXFSZ, SIG_IGN);
  return lariat::cli::run(lariat::cli::Strings(words + 1, words + std::max(count, 1)));
}
