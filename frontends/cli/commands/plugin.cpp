#include "frontends/cli/commands/plugin.hpp"

namespace lariat::cli {

void plugin(const Strings& arguments) {
  static const std::vector<Command> commands{
      {"new", "write a project with an op, which builds at once", plugin_new},
      {"check", "try a plugin's ops in a process of their own", plugin_check},
  };
  dispatch("lariat plugin", commands, arguments);
}

}  // namespace lariat::cli
