#include "frontends/cli/commands/plugin.hpp"
#include "frontends/cli/command_records.hpp"

namespace lariat::cli {

static void plugin(const Strings& arguments) {
  static const std::vector<Command> commands{
      {"new", "write a project with an op, which builds at once", plugin_new},
      {"check", "try a plugin's ops in a process of their own", plugin_check},
  };
  dispatch("lariat plugin", commands, arguments);
}

Command command_records::plugin() {
  return {"plugin", "write a plugin with an op of your own, or check one", cli::plugin, CommandGroup::graphs};
}

}  // namespace lariat::cli
