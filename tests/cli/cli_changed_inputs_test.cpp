// Every command with inputs that were changed in some places: it takes them or refuses them with a line, and
// what it leaves is whole. What readers do with a million of them, tests/fuzz tells.
#include "tests/cli/jobs.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_changed_inputs_test {

using namespace lariat::testing;

TEST_CASE("changed inputs: every command takes or refuses them, and leaves whole files") {
  if (!have_lariat()) return;
  const Jobs jobs;
  const uint64_t times = is_nightly() ? 1000 : 3;
  int64_t taken = 0, refused = 0;
  for (const Job& job : jobs.list()) {
    CAPTURE(job.name);
    for (const std::string& input : job.inputs) {
      const std::string whole = read_file(input);
      for (uint64_t number = 0; number < times; ++number) {
        const std::string bytes = changed({whole}, 1, number);
        write_file(input, bytes);
        jobs.prepare(job, number % 2 == 0);
        const ProgramRun run = jobs.run(job, 0, "");
        const std::string torn = jobs.torn_with_other_inputs(job);
        CAPTURE(input);
        CAPTURE(number);
        CAPTURE(run.err);
        const bool ended = run.status == 0 || run.status == 1 || run.status == 2;
        // The code of a plugin is run, not read: where it was changed it may end the process, which `lariat
        // plugin check` sees from another one. Files are whole all the same.
        CHECK((ended || input.ends_with(".so")));
        CHECK(run.err.find("please report") == std::string::npos);
        CHECK(run.err.size() < 20000);
        if (ended && run.status != 0) CHECK(run.err.starts_with("lariat"));
        CHECK(torn == "");
        ++(run.status == 0 ? taken : refused);
      }
      write_file(input, whole);
    }
  }
  CHECK(taken > 5);
  CHECK(refused > 10);
  MESSAGE(taken << " inputs taken, " << refused << " refused");
}

}  // namespace lariat::cli_changed_inputs_test
