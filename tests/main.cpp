// The test program's main: doctest, closed by the line "N passed, N failed" (", N skipped").
#define DOCTEST_CONFIG_IMPLEMENT
#include "tests/support/testing.hpp"

#include <fmt/format.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "graph/base/error.hpp"

namespace {

bool skipped_current = false;
int passed = 0, failed = 0, skipped = 0;

struct Counter final : doctest::IReporter {
  explicit Counter(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData&) override { skipped_current = false; }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    if (stats.failure_flags != 0) {
      ++failed;
    } else {
      ++(skipped_current ? skipped : passed);
    }
  }
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

REGISTER_LISTENER("counter", 1, Counter);

}  // namespace

namespace lariat::testing {

bool is_nightly() { return std::getenv("LARIAT_NIGHTLY") != nullptr; }

SeedRange seed_range(int64_t usual, int64_t nightly) {
  SeedRange result{0, is_nightly() ? nightly : usual};
  const char* given = std::getenv("LARIAT_SEEDS");
  if (given && std::sscanf(given, "%" SCNu64 ":%" SCNd64, &result.first, &result.count) != 2)
    throw UserError(fmt::format("LARIAT_SEEDS is '{}'; give FIRST:COUNT, such as 17:1", given));
  return result;
}

void skip(const char* reason) {
  skipped_current = true;
  std::printf("SKIPPED: %s\n", reason);
}

}  // namespace lariat::testing

int main(int argc, char** argv) {
  doctest::Context context;
  context.setOption("no-intro", true);
  context.applyCommandLine(argc, argv);
  const int status = context.run();
  if (context.shouldExit()) return status;
  std::printf("%d passed, %d failed", passed, failed);
  if (skipped > 0) std::printf(", %d skipped", skipped);
  std::printf("\n");
  return status != 0 || passed == 0 ? 1 : 0;
}
