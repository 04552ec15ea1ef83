#pragma once

#include <string>

#include "benchmarks/results.hpp"

namespace lariat::benchmarks {

/// Prints how every case's figure changed since the run whose `--json` is in `path`: the ratio beside the
/// others where both runs have one, for the machine may be another, else lariat's own time. Returns how many
/// became slower by more than their intervals explain. Throws UserError for a file that holds no such
/// figures.
int print_changes(const Results& results, const std::string& path);

}  // namespace lariat::benchmarks
