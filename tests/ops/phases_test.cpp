#include "ops/kernels/phases.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "graph/exec/executor.hpp"
#include "tests/support/testing.hpp"

namespace lariat::phases_test {

namespace {

// Each piece of a phase adds up what all pieces of the phase before have left.
std::vector<int64_t> left_by(const ParallelFor& parallel, int64_t phases, int64_t pieces,
                             std::atomic<int64_t>& runs) {
  std::vector<int64_t> now(static_cast<size_t>(pieces), 1), next = now;
  std::vector<int64_t>* const both[] = {&now, &next};
  run_in_phases(parallel, phases, pieces, [&](int64_t phase, int64_t piece) {
    const std::vector<int64_t>& before = *both[phase % 2];
    int64_t sum = piece;
    for (const int64_t one : before) sum = (sum * 31 + one) % 1'000'003;
    (*both[(phase + 1) % 2])[static_cast<size_t>(piece)] = sum;
    ++runs;
  });
  return *both[phases % 2];
}

// Gives all chunks to one thread, one after the other.
struct OneThread final : ParallelFor {
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) const override {
    for (int64_t begin = 0; begin < count; begin += grain) body(begin, std::min(count, begin + grain));
  }
  int threads() const override { return 8; }
};

}  // namespace

TEST_CASE("phases: each piece is run once, after all of the phase before, on any number of threads") {
  const auto serial = make_serial_executor();
  for (const int64_t pieces : {1, 2, 3, 8, 70})
    for (const int64_t phases : {0, 1, 2, 500}) {
      CAPTURE(pieces);
      CAPTURE(phases);
      std::atomic<int64_t> runs = 0;
      const std::vector<int64_t> expected = left_by(*serial, phases, pieces, runs);
      CHECK(runs == phases * pieces);
      for (const int threads : {2, 3, 16}) {
        runs = 0;
        CHECK(left_by(*make_tbb_executor(threads), phases, pieces, runs) == expected);
        CHECK(runs == phases * pieces);
      }
      runs = 0;
      CHECK(left_by(OneThread(), phases, pieces, runs) == expected);
      CHECK(runs == phases * pieces);
    }
}

TEST_CASE("phases: several threads use one executor at a time") {
  const auto executor = make_tbb_executor(2), serial = make_serial_executor();
  std::atomic<int64_t> runs = 0;
  const std::vector<int64_t> expected = left_by(*serial, 300, 2, runs);
  std::vector<std::thread> threads;
  std::atomic<int> same = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] { same += left_by(*executor, 300, 2, runs) == expected; });
  for (std::thread& thread : threads) thread.join();
  CHECK(same == 4);
}

}  // namespace lariat::phases_test
