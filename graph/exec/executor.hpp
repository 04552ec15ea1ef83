#pragma once

#include <memory>

#include "graph/ir/parallel_for.hpp"

namespace lariat {

class Plan;
struct Task;
class Trace;

/// Runs the tasks of a bound plan. Results do not depend on the implementation or its number of threads.
/// Several threads may use one executor at a time, each for a plan of its own. Subnormal numbers count as 0
/// in what it runs, whatever the calling thread has set, and as before once it has.
class Executor : public ParallelFor {
 public:
  /// Runs every step. An exception of a kernel is thrown on, with the node named, once all running work has
  /// ended.
  virtual void run_plan(const Plan& plan) = 0;
  /// Records every step into `trace` from here on; nullptr stops.
  void record(Trace* trace) { trace_ = trace; }

 protected:
  /// Runs the steps of one task on the calling thread.
  void run_task(const Plan& plan, const Task& task) const;
  Trace* trace_ = nullptr;
};

/// One step after the other in plan order: the oracle of the other executors.
std::unique_ptr<Executor> make_serial_executor();
/// More are a slip of the finger; oneTBB takes any number, and writes beyond its own memory at some.
inline constexpr int most_threads = 1024;
/// oneTBB with `threads` threads; 0 takes what the machine and its cgroup quota allow. Throws UserError for a
/// number below 0 or above most_threads.
std::unique_ptr<Executor> make_tbb_executor(int threads = 0);

/// The number of threads that the machine and the process's cgroup quota allow.
int available_threads();

}  // namespace lariat
