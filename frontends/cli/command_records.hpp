#pragma once

#include "frontends/cli/command.hpp"

/// The program's commands: a file of commands/ each, which brings its record.
namespace lariat::cli::command_records {

#define LARIAT_COMMAND(name) Command name();
#include "command_records.inc"
#undef LARIAT_COMMAND

}  // namespace lariat::cli::command_records
