// Kernels take their memory from the plan: the pieces of work that they run allocate nothing.
#include "autodiff/check/op_cases.hpp"
#include "graph/ir/registry.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/work.hpp"

namespace lariat::kernel_memory_test {

namespace {

// Counts what pieces of work allocate.
struct Counting final : ParallelFor {
  mutable int64_t allocations = 0, pieces = 0;
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) const override {
    for (int64_t begin = 0; begin < count; begin += grain) {
      const int64_t before = testing::work_so_far().allocations;
      body(begin, std::min(begin + grain, count));
      allocations += testing::work_so_far().allocations - before;
      ++pieces;
    }
  }
};

}  // namespace

TEST_CASE("no piece of an op's work allocates memory") {
  if (!testing::counts_allocations())
    return testing::skip("a sanitizer allocates here, and nothing is counted");
  int64_t pieces = 0;
  for (const OpDef* op : registry().all()) {
    if (op->plugin || op->samples.empty()) continue;
    const OpCases cases(*op);
    for (const auto* list : {&cases.of_op(), &cases.of_gradient()})
      for (const OpCase& c : *list) {
        CAPTURE(c.node->op->name);
        CAPTURE(c.name);
        run_guarded(c, std::byte{0x7b}, Counting());  // what a thread keeps for its next step may be made
        const Counting parallel;
        run_guarded(c, std::byte{0x7b}, parallel);
        CHECK(parallel.allocations == 0);
        pieces += parallel.pieces;
      }
  }
  CHECK(pieces > 500);
}

}  // namespace lariat::kernel_memory_test
