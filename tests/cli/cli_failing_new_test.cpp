// The program where a call of operator new fails (tests/cli/failing_new.cpp).
#include <algorithm>

#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_failing_new_test {

using namespace testing;

TEST_CASE("cli: wherever operator new fails, the run ends with a line that says so") {
  if (!have_lariat()) return;
  const std::string program = LARIAT_BUILD_ROOT "/tests/lariat_failing_new";
  const TemporaryFolder folder;
  write_file(folder / "rows", "1 1:2 2:3\n-1 1:1 2:1\n1 2:3\n-1 1:2\n");
  for (const std::string& command :
       {"solve --quiet --data '" + folder / "rows" + "'", std::string("gradcheck matmul")}) {
    CAPTURE(command);
    for (const char* on : {"LARIAT_NEW_FAILS_ONCE=1", "LARIAT_NEW_FAILS_ON=1"}) {
      CAPTURE(on);
      int done = 0, refused = 0;
      const long apart = is_nightly() ? 200 : 8;
      for (long at = 1; done == 0 || at < 20; at += std::max(1L, at / apart)) {
        const ProgramRun run = run_lariat({"-c", "exec env LARIAT_NEW_FAILS_AT=" + std::to_string(at) + " " +
                                                     on + " '" + program + "' " + command},
                                          {.program = "/bin/bash"});
        CAPTURE(at);
        CAPTURE(run.err);
        REQUIRE((run.status == 0 || run.status == 2));
        if (run.status == 2) CHECK(run.err.find("lariat: there is not enough memory ") != std::string::npos);
        ++(run.status == 0 ? done : refused);
      }
      CHECK(refused > 20);
    }
  }
}

}  // namespace lariat::cli_failing_new_test
