// The program where memory or threads are refused: it ends soon and says why, or works with what there is.
#include <unistd.h>

#include <chrono>

#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_pressure_test {

namespace {

using namespace testing;

ProgramRun shell(const std::string& script) { return run_lariat({"-c", script}, {.program = "/bin/bash"}); }

// Data, and commands that multiply, factorise, check and train with them.
struct Commands {
  TemporaryFolder folder;
  std::vector<std::string> list;
  Commands() {
    std::string rows;
    for (int i = 0; i < 40; ++i) {
      rows += i % 2 == 0 ? "1" : "-1";
      for (int j = 1; j <= 8; ++j)
        rows += " " + std::to_string(j) + ":" + std::to_string((i * 7 + j * j * 3) % 11);
      rows += "\n";
    }
    write_file(folder / "rows", rows);
    list = {"solve --quiet --data '" + folder / "rows" + "'", "gradcheck matmul"};
  }
};

}  // namespace

TEST_CASE("cli: under any limit on address space a run ends soon with the limit named, or works") {
  if (!have_lariat()) return;
  // Sanitizers need more than any such limit.
  if (shell("ulimit -v 4000000; \"$LARIAT_PROGRAM\" --version").status != 0)
    return skip("the program does not start under a limit on address space");
  const Commands commands;
  for (const std::string& command : commands.list) {
    int done = 0, refused = 0;
    for (int megabytes = 100; megabytes <= 1000; megabytes += is_nightly() ? 3 : 50) {
      const auto start = std::chrono::steady_clock::now();
      const ProgramRun run = shell("ulimit -v " + std::to_string(megabytes) +
                                   "000\nexec timeout -s KILL 20 \"$LARIAT_PROGRAM\" " + command);
      CAPTURE(command);
      CAPTURE(megabytes);
      CAPTURE(run.err);
      CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
      if (run.status == 2) {
        CHECK(run.err.find("the limit on address space (ulimit -v) leaves ") != std::string::npos);
        ++refused;
      } else {
        CHECK(run.status == 0);
        ++done;
      }
    }
    CHECK(done >= 10);
    CHECK(refused > 0);
  }
}

TEST_CASE("cli: a plugin's op is not to blame for a limit on address space") {
  if (!have_lariat()) return;
  if (shell("ulimit -v 4000000; \"$LARIAT_PROGRAM\" --version").status != 0)
    return skip("the program does not start under a limit on address space");
  int not_run = 0;
  for (int megabytes = 100; megabytes <= 600; megabytes += is_nightly() ? 3 : 50) {
    const ProgramRun run = shell("ulimit -v " + std::to_string(megabytes) +
                                 "000\nexec timeout -s KILL 20 \"$LARIAT_PROGRAM\" plugin check " +
                                 LARIAT_BUILD_ROOT "/examples/swish.so");
    CAPTURE(megabytes);
    CAPTURE(run.out);
    CAPTURE(run.err);
    CHECK((run.status == 0 || run.status == 1 || run.status == 2));
    CHECK_FALSE(contains(run.out, "FAULT"));
    if (run.status == 1) CHECK(contains(run.out, "not run: there is not enough memory"));
    not_run += run.status == 1;
  }
  CHECK(not_run > 0);
}

TEST_CASE("cli: where no thread can be started it works on one") {
  if (!have_lariat()) return;
  // Root may have any number of processes.
  const std::string another = getuid() == 0 ? "setpriv --reuid 64321 --regid 64321 --clear-groups " : "";
  const auto run = [&](const std::string& limit, const std::string& command) {
    return shell("ulimit -u " + limit + "\nexec " + another + "\"$LARIAT_PROGRAM\" " + command);
  };
  if (run("1000", "--version").status != 0) return skip("the program cannot be run as another user");
  const Commands commands;
  const ProgramRun opened = shell("chmod -R a+rX '" + commands.folder.text() + "'");
  REQUIRE(opened.status == 0);
  for (const char* limit : {"1", "2", "3"}) {
    CAPTURE(limit);
    for (const char* threads : {"", " --threads 4"}) {
      const ProgramRun solved = run(limit, commands.list[0] + threads);
      CAPTURE(solved.err);
      CHECK(solved.status == 0);
      CHECK(solved.err == "");
    }
    CHECK(run(limit, "gradcheck matmul").status == 0);
  }
}

}  // namespace lariat::cli_pressure_test
