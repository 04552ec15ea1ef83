#include "tests/support/ranks.hpp"

#include <cstdlib>
#include <filesystem>

#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::testing {

std::vector<TestedMpi> tested_mpis() {
  std::vector<TestedMpi> found;
  const auto add = [&](const std::string& name, const std::vector<std::string>& options) {
    const std::string launcher = "/usr/bin/mpirun." + name;
    const char* program = std::getenv("LARIAT_PROGRAM");
    const auto folder = std::filesystem::path(program == nullptr ? "" : program).parent_path();
    if (std::filesystem::exists(launcher) && std::filesystem::exists(folder / ("liblariat_" + name + ".so")))
      found.push_back({launcher, options});
  };
  if (!have_lariat()) return found;
  add("openmpi", {"--oversubscribe", "--bind-to", "none"});
  add("mpich", {});
  if (found.empty())
    skip("neither Open MPI nor MPICH is installed, or lariat was built without: ./run test installs both");
  return found;
}

ProgramRun run_on_ranks(const TestedMpi& mpi, int size, const std::vector<std::string>& arguments,
                        const std::string& before, const std::string& more) {
  std::vector<std::string> words = mpi.options;
  const std::string shell = "R=${OMPI_COMM_WORLD_RANK:-$PMI_RANK}\n" + before + "\nexec \"$@\" " + more;
  words.insert(words.end(),
               {"-n", std::to_string(size), "/bin/sh", "-c", shell, "rank", std::getenv("LARIAT_PROGRAM")});
  words.insert(words.end(), arguments.begin(), arguments.end());
  ProgramOptions options;
  options.program = mpi.launcher;
  for (;;) {
    // Two launchers of Open MPI that start at once fail over the folder that both make.
    const TemporaryFolder session;
    options.environment = {
        {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
        {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
        {"LARIAT_RANK_LIMIT", "2"},
        // Else mpirun may wait for ever, when all is over, for a lock that a killed rank held.
        {"PMIX_MCA_gds", "hash"},
        {"OMPI_MCA_orte_tmpdir_base", session.text()}};
    ProgramRun run = run_lariat(words, options);
    // One alone does too at times, before it starts any program.
    if (run.err.find("session_dir.c") == std::string::npos) return run;
  }
}

}  // namespace lariat::testing
