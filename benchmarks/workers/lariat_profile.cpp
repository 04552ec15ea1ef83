#include <fmt/format.h>

#include "benchmarks/workers/lariat_workloads.hpp"
#include "graph/exec/executor.hpp"
#include "graph/exec/trace.hpp"

namespace lariat::benchmarks {

void print_profile(Executor& executor, int times, const std::function<void()>& run) {
  Trace trace;
  executor.record(&trace);
  const double begin = trace.now();
  for (int i = 0; i < times; ++i) run();
  const double wall = trace.now() - begin;
  executor.record(nullptr);
  fmt::print(stderr, "{:.0f} us a run\n", wall / times);
  for (const Trace::OpTotal& t : trace.totals())
    fmt::print(stderr, "{:28} {:6.1f} runs {:9.1f} us {:5.1f}% {:7.1f} GFLOP/s {:6.1f} GB/s\n", t.op,
               static_cast<double>(t.runs) / times, t.microseconds / times, 100 * t.microseconds / wall,
               t.flops / t.microseconds / 1e3, t.bytes / t.microseconds / 1e3);
}

}  // namespace lariat::benchmarks
