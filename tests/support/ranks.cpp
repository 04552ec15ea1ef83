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

namespace {

// Tells, in a file of `folder` for each, with what the ranks ended. A shell that starts another has the
// other's number as $$ there, and ends by the signal that ended it.
const char* const telling = R"("$@"
S=$?
echo $S >"$LARIAT_STATUSES/${OMPI_COMM_WORLD_RANK:-$PMI_RANK}"
[ $S -gt 128 ] && kill -$((S - 128)) $$
exit $S)";

// The smallest that is not 0: a launcher ends the others by signals.
int told_status(const std::string& folder) {
  int least = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (const int status = std::stoi("0" + read_file(entry.path()));
        status != 0 && (least == 0 || status < least))
      least = status;
  return least;
}

}  // namespace

ProgramRun run_on_ranks(const TestedMpi& mpi, int size, const std::vector<std::string>& arguments,
                        const std::string& before, const std::string& more) {
  std::vector<std::string> words = mpi.options;
  const std::string shell = "R=${OMPI_COMM_WORLD_RANK:-$PMI_RANK}\n" + before + "\nexec \"$@\" " + more;
  words.insert(words.end(), {"-n", std::to_string(size), "/bin/sh", "-c", telling, "rank", "/bin/sh", "-c",
                             shell, "rank", std::getenv("LARIAT_PROGRAM")});
  words.insert(words.end(), arguments.begin(), arguments.end());
  ProgramOptions options;
  options.program = mpi.launcher;
  for (int attempt = 1;; ++attempt) {
    // Two launchers of Open MPI that start at once fail over the folder that both make.
    const TemporaryFolder session, statuses;
    options.environment = {
        {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
        {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
        {"LARIAT_RANK_LIMIT", "2"},
        {"LARIAT_STATUSES", statuses.text()},
        // Else mpirun may wait for ever, when all is over, for a lock that a killed rank held.
        {"PMIX_MCA_gds", "hash"},
        {"OMPI_MCA_orte_tmpdir_base", session.text()}};
    ProgramRun run = run_lariat(words, options);
    // One alone does too at times, before it starts any program.
    if (attempt < 5 && run.err.find("session_dir.c") != std::string::npos) continue;
    // Where a rank failed, its status counts: MPICH's launcher gives that of a rank that it kills then, and
    // now and then, in version 4.2, none.
    if (const int told = told_status(statuses.text()); told != 0) run.status = told;
    return run;
  }
}

}  // namespace lariat::testing
