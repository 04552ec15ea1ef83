#!/usr/bin/env bash
# Proves that ThreadSanitizer sees races: takes one lock, order or edge at a time out of a copy of the sources, and fails
# where the tests named beside it still pass. With --check it only looks whether what it replaces is there.
set -euo pipefail
cd "$(dirname "$0")/.."
only_check=${1:-}
FOLDER=build-tsan/races
. tests/faults.sh

race() {  # race NAME FILE FROM TO TESTS: the tests whose names match TESTS
  fault "$1" "$2" "$3" "$4" -tc="$5"
}

if [ "$only_check" != --check ]; then
  build_copy -Db_sanitize=thread -Db_lundef=false -Dcpp_args=-g1
  check_without_faults -tc='threads:*'
fi

race 'a task starts before all that it waits for is seen' graph/exec/tbb_executor.cpp 'fetch_sub(1, std::memory_order_acq_rel)' 'fetch_sub(1, std::memory_order_relaxed)' 'threads: a node*'
race 'a task waits for one fewer' graph/exec/tbb_executor.cpp 'waiting_[i].store(tasks_[i].predecessors' 'waiting_[i].store(std::min(1, tasks_[i].predecessors)' 'threads: a node*'
race 'failures are kept without a lock' graph/exec/tbb_executor.cpp 'const std::lock_guard lock(failure_mutex_);' '' 'threads: of many nodes*'
race 'that a run failed is a plain bool' graph/exec/tbb_executor.cpp 'std::atomic<bool> failed_ = false;' 'struct { bool is = false; bool load(std::memory_order) const { return is; } void store(bool to) { is = to; } } failed_;' 'threads: of many nodes*'
race 'all threads are the first' graph/exec/tbb_executor.cpp 'return index < 0 || index >= threads_ ? 0 : index;' 'return index < 0 ? 0 : 0;' 'threads: products*'
race 'a trace is written without a lock' graph/exec/trace.cpp 'const std::lock_guard lock(mutex_);
  events_' 'events_' 'threads: a trace*'
race 'a program runs without a lock' graph/program/program.cpp 'const std::lock_guard lock(mutex_);
  Plan& plan = find_plan(feeds);' 'Plan& plan = find_plan(feeds);' 'threads: one program*'
race 'a program plans without a lock' graph/program/program.cpp 'const std::lock_guard lock(mutex_);
  return find_plan(feeds);' 'return find_plan(feeds);' 'threads: one program*'
race 'sums of symbols are kept without a lock' graph/base/shape.cpp 'const std::lock_guard lock(table.mutex);
  auto& slot' 'auto& slot' 'threads: graphs are built*'
race 'quotients of symbols are read without a lock' graph/base/shape.cpp 'const std::lock_guard lock(mutex);
    const auto found = quotients' 'const auto found = quotients' 'threads: graphs are built*'
race 'memory is taken again before its last reader is done' graph/exec/execution_order.cpp 'last_read_[index_of(memory_of(edge))] = static_cast<int>(p);' 'last_read_[index_of(memory_of(edge))] = std::max(0, static_cast<int>(p) - 2);' 'threads: a node*'
race 'memory is taken again without waiting for who had it' graph/exec/arena.cpp 'predecessors.insert(predecessors.end(), old.users->begin(), old.users->end());' '' 'threads: a node*'
count_faults
