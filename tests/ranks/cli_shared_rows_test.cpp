// Linear models on several ranks through the program, and how a process was started.
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "graph/base/error.hpp"
#include "graph/ranks/mpi_transport.hpp"
#include "tests/support/files.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_shared_rows_test {

using namespace lariat::testing;
using nlohmann::json;

TEST_CASE("ranks: the rows of a linear model are shared, to the same bits for any number of ranks") {
  const std::vector<TestedMpi> mpis = tested_mpis();
  if (mpis.empty()) return;
  const testing::TemporaryFolder folder;
  const std::string rows = folder / "rows.libsvm";
  std::string text;
  for (int i = 0; i < 90; ++i)
    text += fmt::format("{} 1:{:.3f} 2:{:.3f} 4:{:.3f}\n", i % 3 == 0 ? "+1" : "-1", std::sin(i),
                        1e6 + std::cos(3 * i), i % 3 - 0.5 * std::sin(5 * i));
  write_file(rows, text);
  const auto with = [](std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const std::vector<std::string> solve{"solve",     "--data",    rows,      "--bias",
                                       "--mean",    "--penalty", "0.02*l1", "--standardize",
                                       "--threads", "1",         "--quiet"};
  const std::vector<std::string> path{"path", "--data", rows, "--lambdas", "8", "--threads", "1", "--quiet"};
  const auto read = [&](const std::string& name) { return read_file(folder / name); };
  REQUIRE(run_lariat(with(solve, {"--row-parts", "8", "--out", folder / "alone"})).status == 0);
  REQUIRE(run_lariat(with(path, {"--row-parts", "8", "--table", folder / "alone.csv"})).status == 0);
  for (const TestedMpi& mpi : mpis)
    for (const int size : {1, 2, 3}) {
      CAPTURE(mpi.launcher);
      CAPTURE(size);
      const ProgramRun solved =
          run_on_ranks(mpi, size, with(solve, {"--out", folder / "ranks", "--json", folder / "ranks.json"}));
      INFO(solved.err);
      CHECK(solved.status == 0);
      CHECK(read("ranks") == read("alone"));
      const json figures = json::parse(read("ranks.json"));
      CHECK(figures.at("rows") == 90);
      CHECK(figures.at("entries") == 270);
      CHECK(figures.at("converged") == true);
      const ProgramRun along = run_on_ranks(mpi, size, with(path, {"--table", folder / "ranks.csv"}));
      INFO(along.err);
      CHECK(along.status == 0);
      CHECK(read("ranks.csv") == read("alone.csv"));
    }
  const ProgramRun few = run_on_ranks(mpis.front(), 3, with(solve, {"--row-parts", "2"}));
  CHECK(few.status == 2);
  CHECK(contains(few.err, "3 ranks share 2 parts of the rows; take as many parts, or fewer ranks"));
  const auto differs = [&](const std::string& first, const std::string& second) {
    const ProgramRun run =
        run_on_ranks(mpis.front(), 2, {"solve", "--data", rows, "--quiet"},
                     "[ $R = 1 ] && M='" + second + "' || M='" + first + "'", "--threads 1 $M");
    CHECK(run.status == 2);
    return run.err;
  };
  CHECK(contains(differs("", "--zero-based"),
                 "rank 1 has other data than rank 0: 90 rows of 5 columns (hash "));
  CHECK(contains(differs("--method newton", "--method fista"), "rank 1 has other settings than rank 0: "));
  const ProgramRun early =
      run_on_ranks(mpis.back(), 2, with(solve, {"--iterations", "1", "--tolerance", "1e-12"}));
  CHECK(early.status == 1);
  CHECK(contains(early.err, "the 1 iterations allowed were used up"));
  const ProgramRun groups = run_on_ranks(mpis.back(), 2, with(solve, {"--penalty", "1*norm2"}));
  CHECK(groups.status == 2);
  CHECK(contains(groups.err,
                 "ranks can share the rows of a linear model with penalties of single weights only"));
  const ProgramRun both = run_lariat(with(path, {"--folds", "3", "--row-parts", "4"}));
  CHECK(both.status == 2);
  CHECK(both.err ==
        "lariat: lariat path: --row-parts is without effect with --folds, which ranks share whole\n");
}

TEST_CASE(
    "ranks: each reads its own rows, of text and of matrices, with what all rows say of columns and labels") {
  const std::vector<TestedMpi> mpis = tested_mpis();
  if (mpis.empty()) return;
  const testing::TemporaryFolder folder;
  // Column 900000 is of the last row alone, and labels are in order: each rank has one class.
  std::string text = "# rows\n\n";
  for (int i = 0; i < 60; ++i)
    text += fmt::format("{} {}:{:.3f} {}:{:.3f}{}\n", i < 30 ? 0 : 1, 1 + i % 3, std::sin(i),
                        i == 59 ? 900000 : 5, 10 + std::cos(3 * i), i % 4 == 0 ? " # one\n" : "");
  write_file(folder / "rows.libsvm", text);
  const auto check = [&](const std::vector<std::string>& command) {
    const auto with = [&](const std::vector<std::string>& more) {
      std::vector<std::string> words = command;
      words.insert(words.end(), {"--threads", "1", "--quiet"});
      words.insert(words.end(), more.begin(), more.end());
      return words;
    };
    const ProgramRun alone = run_lariat(with({"--row-parts", "8", "--out", folder / "alone"}));
    INFO(alone.err);
    REQUIRE(alone.status == 0);
    for (const TestedMpi& mpi : mpis) {
      CAPTURE(mpi.launcher);
      const ProgramRun run = run_on_ranks(mpi, 3, with({"--out", folder / "ranks"}));
      INFO(run.err);
      CHECK(run.status == 0);
      CHECK(read_file(folder / "ranks") == read_file(folder / "alone"));
    }
  };
  const std::string rows = folder / "rows.libsvm";
  check({"solve", "--data", rows, "--bias", "--penalty", "0.5*l1"});
  check({"solve", "--data", rows, "--bias", "--standardize", "--penalty", "0.5*l1"});
  write_file(folder / "bad.libsvm", text + "1 1:x\n");
  const auto fails = [&](const std::vector<std::string>& arguments, const std::string& before = "",
                         const std::string& more = "") {
    const ProgramRun run = run_on_ranks(mpis.back(), 2, arguments, before, more);
    CHECK(run.status == 2);
    return run.err;
  };
  CHECK(contains(fails({"solve", "--data", folder / "bad.libsvm"}), "lariat: rank 1: "));
  CHECK(contains(fails({"path", "--data", rows, "--quiet"}, "M=$((R+3))", "--lambdas $M"),
                 "rank 1 has other settings than rank 0: 4 λ and 3 λ; give every rank the same"));
  CHECK(contains(fails({"path", "--data", rows, "--quiet", "--loss", "huber", "--folds", "2"}, "M=$((R+3))",
                       "--delta $M"),
                 "rank 1 has other settings than rank 0: delta 4 and delta 3; give every rank the same"));
  CHECK(contains(
      fails({"solve", "--data", "-"}),
      "lariat solve: /dev/stdin is no file, and one process alone can read it; give a file that all 2 ranks "
      "see"));
}

TEST_CASE("ranks: another command, an unknown one and the library of another MPI are named once") {
  const std::vector<TestedMpi> mpis = tested_mpis();
  if (mpis.empty()) return;
  const testing::TemporaryFolder folder;
  write_file(folder / "rows", "1 1:1\n-1 2:1\n1 1:2\n-1 2:2\n");
  const auto fails = [](const TestedMpi& mpi, const std::vector<std::string>& arguments,
                        const std::string& before = "") {
    const ProgramRun run = run_on_ranks(mpi, 2, arguments, before);
    CHECK(run.status == 2);
    std::istringstream stream(run.err);
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);)
      if (line.starts_with("lariat: ")) lines.push_back(line.substr(8));
    INFO(run.err);
    REQUIRE(lines.size() == 1);
    return lines[0];
  };
  for (const TestedMpi& mpi : mpis) {
    CAPTURE(mpi.launcher);
    CHECK(fails(mpi, {"solve", "--data", folder / "rows"},
                "[ $R = 1 ] && set -- $1 path --data " + (folder / "rows")) ==
          "rank 1 has another command than rank 0: lariat path and lariat solve; give every rank the same");
    // The first speaks, also where it comes late.
    CHECK(fails(mpi, {"frobnicate"}, "[ $R = 0 ] && sleep 0.3")
              .starts_with("there is no command 'frobnicate'. Known: "));
    CHECK(fails(mpi, {"evaluate", "model"}, "[ $R = 0 ] && sleep 0.3")
              .starts_with("lariat evaluate runs as one process, but was started by "));
  }
  if (mpis.size() < 2) return;
  CHECK(contains(
      fails(mpis[0], {"solve", "--data", folder / "rows"}, "export LARIAT_MPI=mpich"),
      " sees 1 process: the library is not of the launcher's MPI; start it by the launcher of MPICH, and see "
      "that LARIAT_MPI names no other"));
  CHECK(contains(fails(mpis[1], {"solve", "--data", folder / "rows"}, "export LARIAT_MPI=openmpi"),
                 " sees 1 process: the library is not of the launcher's MPI; start it by the launcher of "
                 "Open MPI, and see "
                 "that LARIAT_MPI names no other"));
}

TEST_CASE("ranks: how a process was started is seen, and other commands refuse to run several times") {
  std::map<std::string, std::string> environment;
  const auto start = [&] {
    return mpi_start([&](const char* name) -> const char* {
      const auto found = environment.find(name);
      return found == environment.end() ? nullptr : found->second.c_str();
    });
  };
  CHECK(start().module == "");
  environment = {
      {"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  CHECK(start().module == "openmpi");
  CHECK(start().by == "Open MPI's mpirun (OMPI_COMM_WORLD_SIZE=4)");
  CHECK(start().rank == 3);
  CHECK(start().on_host == 2);
  environment["LARIAT_MPI"] = "none";
  CHECK(start().module == "");
  environment["LARIAT_MPI"] = "lam";
  CHECK(message_of<UserError>(start) == "LARIAT_MPI is 'lam'; it must be openmpi, mpich or none");
  environment = {{"PMI_SIZE", "2"}, {"PMI_RANK", "1"}};
  CHECK(start().module == "mpich");
  environment = {{"PMIX_RANK", "1"}, {"SLURM_NTASKS", "3"}};
  CHECK(start().module == "openmpi");
  CHECK(start().size == 3);
  environment = {{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}};
  CHECK(message_of<UserError>(start) ==
        "srun has started 4 tasks without MPI; start them with srun --mpi=pmix (Open MPI) or --mpi=pmi2 "
        "(MPICH), or set "
        "LARIAT_MPI=none if each is to run alone");
  CHECK(contains(message_of<UserError>([] {
                   mpi_transport({"absent", "a test", 0, 2, 0});
                 }),
                 "started by a test, but the module liblariat_absent.so is in none of "));
  if (!have_lariat()) return;
  ProgramOptions options;
  options.environment = {{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "0"}};
  const ProgramRun refused = run_lariat({"evaluate", "model"}, options);
  CHECK(refused.status == 2);
  CHECK(refused.err ==
        "lariat: lariat evaluate runs as one process, but was started by Open MPI's mpirun "
        "(OMPI_COMM_WORLD_SIZE=2); start "
        "it without, or with LARIAT_MPI=none for as many runs\n");
  options.environment["OMPI_COMM_WORLD_RANK"] = "1";
  const ProgramRun silent = run_lariat({"evaluate", "model"}, options);
  CHECK(silent.status == 2);
  CHECK(silent.err == "");
}

}  // namespace lariat::cli_shared_rows_test
