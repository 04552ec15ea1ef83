// The test program's main: doctest, closed by the line "N passed, N failed" (", N skipped").
#define DOCTEST_CONFIG_IMPLEMENT
#include "tests/support/testing.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "graph/base/error.hpp"
#include "tests/support/wide_registers.hpp"

namespace {

struct Counts {
  std::atomic<int> passed = 0, failed = 0, skipped = 0;
  // Which test case is next, of those that the filters choose.
  std::atomic<int> next = 1;
};

// What jobs share.
Counts& counts() {
  static Counts* const shared =
      new (mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Counts;
  return *shared;
}

bool skipped_current = false;

struct Counter final : doctest::IReporter {
  explicit Counter(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData& data) override {
    skipped_current = false;
    name_ = data.m_name;
  }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
#ifdef LARIAT_CLEARS_WIDE_REGISTERS
    if (lariat::testing::are_wide_registers_in_use()) {
      fmt::print(stderr, "{}: wide registers are left in use, so that what follows without AVX is slow\n",
                 name_);
      ++counts().failed;
      return;
    }
#endif
    if (stats.failure_flags != 0) {
      ++counts().failed;
    } else {
      ++(skipped_current ? counts().skipped : counts().passed);
    }
  }
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  const char* name_ = "";
};

REGISTER_LISTENER("counter", 1, Counter);

// What was printed into `file` goes to `out` as a whole.
void pass_on(int file, int out) {
  std::fflush(stdout);
  std::cout.flush();
  const off_t size = lseek(file, 0, SEEK_END);
  if (size <= 0) return;
  std::string text(static_cast<size_t>(size), 0);
  if (pread(file, text.data(), text.size(), 0) != size || ftruncate(file, 0) != 0 ||
      lseek(file, 0, SEEK_SET) != 0)
    std::abort();
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = write(out, text.data() + done, text.size() - done);
    if (written <= 0) return;
    done += static_cast<size_t>(written);
  }
}

// Takes test cases one after the other, with others that do, and prints into `file` meanwhile.
int take_cases(int file, int count, char** words) {
  const int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
  if (out < 0 || dup2(file, STDOUT_FILENO) < 0) return 1;
  const auto most = static_cast<int>(doctest::detail::getRegisteredTests().size());
  int status = 0;
  for (int at = counts().next++; at <= most; at = counts().next++) {
    doctest::Context context;
    context.applyCommandLine(count, words);
    context.setOption("no-intro", true);
    context.setOption("minimal", true);
    context.setOption("first", at);
    context.setOption("last", at);
    status |= context.run();
    pass_on(STDOUT_FILENO, out);
  }
  return status;
}

// `jobs` processes share the test cases; where one dies, its test case has failed, and another goes on.
int run_in_jobs(int jobs, int count, char** words) {
  counts();
  std::fflush(stdout);
  std::map<pid_t, int> running;
  int status = 0;
  const auto start = [&] {
    const int file = memfd_create("lariat tests", MFD_CLOEXEC);
    const pid_t child = file < 0 ? -1 : fork();
    if (child == 0) {
      const int of_child = take_cases(file, count, words);
      std::fflush(stdout);
      std::_Exit(of_child);
    }
    if (child < 0) throw std::runtime_error(std::string("a process of tests: ") + std::strerror(errno));
    running[child] = file;
  };
  while (static_cast<int>(running.size()) < jobs) start();
  const auto begin = std::chrono::steady_clock::now();
  auto said = begin;
  while (!running.empty()) {
    int how = 0;
    const pid_t ended = waitpid(-1, &how, WNOHANG);
    if (ended < 0) break;
    if (ended == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      const auto now = std::chrono::steady_clock::now();
      if (now - said < std::chrono::seconds(10)) continue;
      said = now;
      std::printf("  %d test cases, %d s\n", counts().passed + counts().failed + counts().skipped,
                  static_cast<int>(std::chrono::duration<double>(now - begin).count()));
      std::fflush(stdout);
      continue;
    }
    const auto found = running.find(ended);
    if (found == running.end()) continue;
    pass_on(found->second, STDOUT_FILENO);
    close(found->second);
    running.erase(found);
    if (WIFEXITED(how)) {
      status |= WEXITSTATUS(how);
      continue;
    }
    std::printf("a process of tests was ended by signal %d\n", WTERMSIG(how));
    ++counts().failed;
    status = 1;
    start();
  }
  return status;
}

// --jobs=N, by which doctest knows nothing.
int jobs_of(int count, char** words) {
  int jobs = 1;
  for (int i = 1; i < count; ++i)
    if (std::string_view(words[i]).starts_with("--jobs="))
      jobs = std::atoi(words[i] + std::strlen("--jobs="));
  // More would not end sooner than the longest test case, and memory is not theirs alone.
  return std::clamp(jobs, 1, 8);
}

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
  const int jobs = jobs_of(argc, argv);
  const int status = context.shouldExit() || jobs == 1 ? context.run() : run_in_jobs(jobs, argc, argv);
  if (context.shouldExit()) return status;
  const int passed = counts().passed, failed = counts().failed, skipped = counts().skipped;
  std::printf("%d passed, %d failed", passed, failed);
  if (skipped > 0) std::printf(", %d skipped", skipped);
  std::printf("\n");
  return status != 0 || failed > 0 || passed == 0 ? 1 : 0;
}
