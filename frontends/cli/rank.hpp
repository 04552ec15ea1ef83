#pragma once

#include <memory>
#include <optional>
#include <string>

#include "frontends/cli/command.hpp"
#include "graph/ranks/ranks.hpp"

namespace lariat::cli {

/// Joins the ranks where MPI has started this process as one of several, and lets rank 0 alone speak and
/// write files. Throws UserError for those of `commands` that do not run on several, where that MPI's module
/// is missing, and where ranks are of other builds or commands.
void join_ranks(const std::vector<Command>& commands, const Strings& arguments);

/// The threads of a rank where the command line does not say it: its share of the host's; nothing: it is
/// alone.
std::optional<int64_t> threads_of_rank();

/// A line about ranks and what they sent, or "".
std::string ranks_summary();

/// Says on one of the ranks why this one ends, and tells the others. Gives the exit status: `status` of a
/// process that is alone; does not return otherwise.
int end_for(const std::string& why, int status);

/// Where this process was started as one of several but has not joined them, and another says why they end:
/// waits a little, for a launcher ends all once the first has failed.
void let_first_speak();

/// All have done their work.
void leave_ranks();

/// All ranks have come to the same end, which is no success. Throws JobError, which one of them says.
[[noreturn]] void fail_together(const std::string& why);

}  // namespace lariat::cli
