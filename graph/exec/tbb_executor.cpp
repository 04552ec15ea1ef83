#include <fmt/format.h>
#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <atomic>
#include <charconv>
#include <exception>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>

#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"
#include "graph/exec/plan.hpp"
#include "graph/exec/subnormals.hpp"

namespace lariat {

int available_threads() {
  int threads = tbb::this_task_arena::max_concurrency();
  // cgroup v2: "quota period" in microseconds, or "max period". oneTBB does not look there.
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota, period;
  if (file >> quota >> period && quota != "max") {
    double microseconds = 0, of = 0;
    std::from_chars(quota.data(), quota.data() + quota.size(), microseconds);
    std::from_chars(period.data(), period.data() + period.size(), of);
    if (of > 0) threads = std::min(threads, std::max(1, static_cast<int>(microseconds / of + 0.5)));
  }
  return std::max(threads, 1);
}

namespace {

// Lets the process have so many threads, where that is more than the machine has. Of several controls oneTBB
// takes the smallest, and says on standard error that it will not give more: so there is one, for the largest
// number that was asked for.
void allow_threads(int threads) {
  static std::mutex mutex;
  static int allowed = tbb::info::default_concurrency();
  static auto& control = *new std::optional<tbb::global_control>;  // it may outlive what is destroyed at exit
  const std::lock_guard lock(mutex);
  if (threads <= allowed) return;
  allowed = threads;
  control.reset();
  control.emplace(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(threads));
}

// One run of a plan: what waits for what, and the first failure.
class Run {
 public:
  using RunTask = std::function<void(const Task&)>;

  Run(const Plan& plan, RunTask run_task)
      : tasks_(plan.tasks()), run_task_(std::move(run_task)), waiting_(tasks_.size()) {
    for (size_t i = 0; i < tasks_.size(); ++i)
      waiting_[i].store(tasks_[i].predecessors, std::memory_order_relaxed);
  }

  void finish(const std::vector<int>& first) {
    run_from(hand_out(first));
    group_.wait();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  // Of tasks that are ready, hands all but the first to other threads, and gives that one, -1 for none. What
  // is handed out first is taken first.
  int hand_out(const std::vector<int>& ready) {
    for (size_t i = 1; i < ready.size(); ++i) group_.run([this, task = ready[i]] { run_from(task); });
    return ready.empty() ? -1 : ready.front();
  }

  // Runs a task and then, on the same thread, the one with the longest path of those it made ready.
  void run_from(int task) {
    while (task >= 0) {
      if (!failed_.load(std::memory_order_relaxed)) {
        try {
          run_task_(tasks_[task]);
        } catch (...) {
          const std::lock_guard lock(failure_mutex_);
          if (!failure_) failure_ = std::current_exception();
          failed_.store(true);
        }
      }
      std::vector<int> ready;
      for (int successor : tasks_[task].successors)
        if (waiting_[successor].fetch_sub(1, std::memory_order_acq_rel) == 1) ready.push_back(successor);
      task = hand_out(ready);
    }
  }

  const std::vector<Task>& tasks_;
  const RunTask run_task_;
  std::vector<std::atomic<int>> waiting_;
  tbb::task_group group_;
  std::atomic<bool> failed_ = false;
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
};

class TbbExecutor final : public Executor {
 public:
  explicit TbbExecutor(int threads)
      : threads_(threads > 0 ? threads : available_threads()), arena_(threads_) {
    allow_threads(threads_);
  }

  void run_plan(const Plan& plan) override {
    const auto run_all = [&] {
      for (const Task& task : plan.tasks()) run_task(plan, task);
    };
    // Entering the arena takes longer than a small plan, and what is one task enters it where it has work for
    // several threads.
    if (plan.tasks().size() == 1) return run_all();
    if (plan.is_chain()) return arena_.execute(run_all);
    arena_.execute(
        [&] { Run(plan, [&](const Task& task) { run_task(plan, task); }).finish(plan.first_tasks()); });
  }

  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) const override {
    const int64_t chunks = (count + grain - 1) / grain;
    const auto chunk = [&](int64_t i) {
      const NoSubnormals scope;
      body(i * grain, std::min((i + 1) * grain, count));
    };
    if (chunks == 1 || threads_ == 1) {
      for (int64_t i = 0; i < chunks; ++i) chunk(i);
      return;
    }
    // In the arena, whoever calls: kernels are in it already, others are not. Isolated: a thread that waits
    // here must not pick up another node, whose kernel would use the same thread's scratch. Static: a chunk
    // meets the same core at every step, which may have its data in cache; from another core's cache they
    // come as slowly as from memory.
    arena_.execute([&] {
      tbb::this_task_arena::isolate(
          [&] { tbb::parallel_for(int64_t{0}, chunks, chunk, tbb::static_partitioner()); });
    });
  }

  int threads() const override { return threads_; }
  // Outside of the arena there is only the thread that calls.
  int thread() const override {
    const int index = tbb::this_task_arena::current_thread_index();
    return index < 0 || index >= threads_ ? 0 : index;
  }

 private:
  const int threads_;
  mutable tbb::task_arena arena_;
};

}  // namespace

std::unique_ptr<Executor> make_tbb_executor(int threads) {
  if (threads < 0 || threads > most_threads)
    throw UserError(fmt::format("threads = {}: must be an integer from 0 to {}", threads, most_threads));
  return std::make_unique<TbbExecutor>(threads);
}

}  // namespace lariat
