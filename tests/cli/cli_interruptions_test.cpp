// Commands that are killed, told to end, or whose files fail, at each of their calls and at any moment: what
// they leave is whole, and running them again gives what an undisturbed run gives.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>

#include "frontends/data/random.hpp"
#include "tests/cli/jobs.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_interruptions_test {

using namespace lariat::testing;

namespace {

const Jobs& jobs() {
  static const Jobs* const shared = new Jobs;
  return *shared;
}

// The calls at which something happens: all by night, else some of them.
std::vector<int64_t> places(int64_t calls, int64_t count, uint64_t seed) {
  std::vector<int64_t> result;
  data::RandomStream random(seed, data::RandomPurpose::noise);
  if (is_nightly()) {
    for (int64_t at = 1; at <= calls; ++at) result.push_back(at);
  } else {
    // What is written comes last.
    for (int64_t part = count; part > 0; --part) {
      const int64_t most = std::max<int64_t>(1, calls / (part * part));
      result.push_back(calls - static_cast<int64_t>(random.below(static_cast<uint32_t>(most))));
    }
  }
  return result;
}

std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of('\n'), start = text.rfind('\n', end);
  return end == std::string::npos ? "" : text.substr(start == std::string::npos ? 0 : start + 1);
}

// Calls `action` for jobs, calls of theirs and ways in which something happens there; returns how often.
template <class Action>
int64_t for_each_call(const std::vector<std::string>& ways, int64_t times, Action&& action) {
  int64_t count = 0;
  uint64_t seed = 0;
  for (const Job& job : jobs().list()) {
    CAPTURE(job.name);
    const int64_t calls = jobs().calls(job);
    REQUIRE(calls > 2);
    for (size_t way = 0; way < ways.size(); ++way)
      for (const int64_t at : places(calls, times, ++seed)) {
        // By night each call meets one way, and each way every job.
        if (is_nightly() && static_cast<size_t>(at) % ways.size() != way) continue;
        jobs().prepare(job, count % 2 == 0);
        const ProgramRun run = jobs().run(job, at, ways[way]);
        const std::string happened = jobs().happened();
        CAPTURE(at);
        CAPTURE(ways[way]);
        CAPTURE(happened);
        CAPTURE(run.err);
        if (happened.empty()) continue;
        action(job, run, happened.substr(happened.find(' ') + 1, happened.size() - happened.find(' ') - 2));
        ++count;
      }
  }
  return count;
}

// Whether a message is about the file of a call: what is being written has another name, or none.
bool names(const std::string& message, const Job& job, const std::string& file) {
  if (message.find(file) != std::string::npos) return true;
  const bool written = file.ends_with(" (deleted)") || file.find(".tmp-") != std::string::npos;
  return written && std::any_of(job.outputs.begin(), job.outputs.end(), [&](const std::string& output) {
           return message.find(output) != std::string::npos;
         });
}

// What an ended run must have left.
void check_after_signal(const Job& job, const ProgramRun& run) {
  CHECK(jobs().torn_by_kill(job) == "");
  if (run.status == 1) CHECK(last_line(run.err).starts_with("lariat: stopped after "));
  CHECK(jobs().again(job) == "");
}

// Jobs that a signal meets at any moment; returns how many.
int64_t for_each_moment(const std::vector<int>& signals, int64_t rounds) {
  int64_t count = 0;
  data::RandomStream random(3, data::RandomPurpose::noise);
  for (const Job& job : jobs().list()) {
    CAPTURE(job.name);
    if (!job.goes_on()) continue;
    jobs().prepare(job, false);
    const auto start = std::chrono::steady_clock::now();
    jobs().run(job, 0, "");
    const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
    for (int64_t round = 0; round < rounds; ++round) {
      ProgramOptions options;
      options.signal = signals[static_cast<size_t>(round) % signals.size()];
      options.signal_after = std::chrono::microseconds(static_cast<int64_t>(random.uniform(0, time.count())));
      jobs().prepare(job, round % 2 == 0);
      const ProgramRun run = jobs().run(job, 0, "", options);
      CAPTURE(options.signal);
      CAPTURE(options.signal_after.count());
      CAPTURE(run.err);
      CHECK((run.status == 0 || run.status == 1 || run.status == 128 + options.signal));
      check_after_signal(job, run);
      ++count;
    }
  }
  return count;
}

}  // namespace

TEST_CASE("interruptions: a run that is killed leaves whole files, and the next one goes on from them") {
  if (!have_lariat()) return;
  const int64_t count = for_each_call({"killed", fmt::format("signal{}", SIGKILL)}, 2,
                                      [](const Job& job, const ProgramRun& run, const std::string&) {
                                        CHECK(run.status == 128 + SIGKILL);
                                        check_after_signal(job, run);
                                      }) +
                        for_each_moment({SIGKILL}, is_nightly() ? 500 : 2);
  CHECK(count >= 30);
  MESSAGE(count << " kills");
}

// A call that touches a checkpoint or a journal, which a save of one consists of.
TEST_CASE(
    "interruptions: trainings that are killed, half of them during a save, go on to the undisturbed bits") {
  if (!have_lariat()) return;
  const int64_t wanted = is_nightly() ? 200 : 6;
  int64_t saves = 0, kills = 0;
  data::RandomStream random(11, data::RandomPurpose::noise);
  std::vector<const Job*> trainings;
  for (const Job& job : jobs().list())
    if (job.goes_on()) trainings.push_back(&job);
  for (size_t next = 0; kills < wanted; ++next) {
    const Job& job = *trainings[next % trainings.size()];
    CAPTURE(job.name);
    jobs().prepare(job, false);
    const bool in_save = 2 * saves < wanted;
    ProgramRun run;
    if (in_save) {
      // Which calls there are is known by a run; those that write are in its later part.
      const int64_t calls = jobs().calls(job);
      jobs().prepare(job, false);
      run = jobs().run(job, calls - static_cast<int64_t>(random.below(static_cast<uint32_t>(calls / 2))),
                       "killed");
      const std::string happened = jobs().happened();
      if (happened.find(".safetensors") == happened.npos && happened.find(".journal") == happened.npos &&
          happened.find("(deleted)") == happened.npos)
        continue;
      ++saves;
    } else {
      ProgramOptions options;
      options.signal = SIGKILL;
      options.signal_after = std::chrono::microseconds(static_cast<int64_t>(random.uniform(0, 400000)));
      run = jobs().run(job, 0, "", options);
      if (run.status == 0) continue;
    }
    ++kills;
    CHECK(run.status == 128 + SIGKILL);
    check_after_signal(job, run);
  }
  MESSAGE(kills << " kills, " << saves << " of them during a save");
}

TEST_CASE("interruptions: a run that is told to end leaves whole files, and says how to go on") {
  if (!have_lariat()) return;
  std::vector<std::string> ways;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ways.push_back(fmt::format("signal{}", number));
  const int64_t count = for_each_call(ways, 1,
                                      [](const Job& job, const ProgramRun& run, const std::string&) {
                                        CHECK((run.status == 0 || run.status == 1 || run.status > 128));
                                        check_after_signal(job, run);
                                      }) +
                        for_each_moment({SIGINT, SIGTERM, SIGHUP}, is_nightly() ? 500 : 1);
  CHECK(count >= 30);
  MESSAGE(count << " signals");
}

TEST_CASE("interruptions: whichever call fails, the file is named, and those that are there are whole") {
  if (!have_lariat()) return;
  std::vector<std::string> ways;
  for (const int number : {EIO, ENOSPC, EACCES, EMFILE}) ways.push_back(std::to_string(number));
  const int64_t count =
      for_each_call(ways, 1, [](const Job& job, const ProgramRun& run, const std::string& file) {
        CHECK((run.status == 0 || run.status == 1 || run.status == 2));
        CHECK(run.err.find("please report") == std::string::npos);
        if (run.status != 0) CHECK(last_line(run.err).starts_with("lariat: "));
        if (run.status != 0 || jobs().torn(job, true) != "") CHECK(names(run.err, job, file));
        CHECK(jobs().torn(job, false) == "");
      });
  CHECK(count >= 30);
  MESSAGE(count << " failures");
}

TEST_CASE("interruptions: calls that are interrupted or do half of what they could are no failures") {
  if (!have_lariat()) return;
  const int64_t count = for_each_call({"short", std::to_string(EINTR)}, 1,
                                      [](const Job& job, const ProgramRun& run, const std::string&) {
                                        CHECK(run.status == 0);
                                        CHECK(jobs().torn(job, true) == "");
                                      });
  CHECK(count >= 20);
  MESSAGE(count << " calls");
}

}  // namespace lariat::cli_interruptions_test
