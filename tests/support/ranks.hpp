#pragma once

#include <string>
#include <vector>

#include "tests/support/program.hpp"

namespace lariat::testing {

/// An MPI whose launcher and module are there.
struct TestedMpi {
  std::string launcher;
  std::vector<std::string> options;
};
/// All that are; where there is none, marks the test case as skipped.
std::vector<TestedMpi> tested_mpis();

/// Runs the program on so many ranks. Each is started by a shell that has its number as $R and runs `before`
/// first; its process is then the program's, with `more` behind its arguments.
ProgramRun run_on_ranks(const TestedMpi& mpi, int size, const std::vector<std::string>& arguments,
                        const std::string& before = "", const std::string& more = "");

}  // namespace lariat::testing
