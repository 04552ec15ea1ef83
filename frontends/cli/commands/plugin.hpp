#pragma once

#include "frontends/cli/command.hpp"

namespace lariat::cli {

// One file each.
void plugin_new(const Strings& arguments);
void plugin_check(const Strings& arguments);

}  // namespace lariat::cli
