#pragma once

#include "graph/exec/placement.hpp"

namespace lariat {

/// Consecutive steps run as one unit; `successors` wait for it, the one with the longest path first.
struct Task {
  int first_step = 0, last_step = 0;
  std::vector<int> successors = {};
  int predecessors = 0;
  /// Estimated time of the longest path from here to the end, itself included.
  double path_microseconds = 0;
};

/// How a graph is run for given extents: order, places of all buffers, and the tasks with their dependencies.
/// The graph must outlive the plan.
class Plan {
 public:
  /// `bindings` gives every symbolic dimension a size. Throws UserError naming the node that does not take
  /// the extents it gets, or whose result is larger than memory can be.
  Plan(const Graph& graph, const Bindings& bindings) : Plan(ExecutionOrder(graph), bindings) {}
  /// With what the plans of a graph have in common; `pack` lays constant inputs out.
  Plan(const ExecutionOrder& order, const Bindings& bindings, const PackConstants& pack = {});

  const Graph& graph() const { return graph_; }
  std::vector<Step>& steps() { return placed_.steps; }
  const std::vector<Step>& steps() const { return placed_.steps; }
  const std::vector<Task>& tasks() const { return tasks_; }
  /// The tasks that wait for none, the one with the longest path first.
  const std::vector<int>& first_tasks() const { return first_tasks_; }
  /// Whether each task waits for the one before it, so that there is nothing to run side by side.
  bool is_chain() const { return is_chain_; }
  /// Bytes of all temporaries and scratch together where so many threads run it, known before the first run:
  /// kernels allocate nothing besides.
  size_t arena_bytes(int threads = 1) const {
    return first_scratch() + static_cast<size_t>(threads) * placed_.thread_bytes;
  }
  /// Bytes the temporaries would take without reuse.
  size_t total_bytes() const { return placed_.total_bytes; }
  const TensorView& result(size_t output) const { return placed_.results[output]; }
  const Location& result_location(size_t output) const { return placed_.result_locations[output]; }
  /// Points every view at its memory: an arena of arena_bytes() for the threads that will run it.
  /// `source_data` gives the memory of feeds, store tensors and constants by node.
  void bind(std::byte* arena, const std::vector<void*>& source_data);

 private:
  void group();
  // Where thread 0's scratch begins in the arena.
  size_t first_scratch() const { return placed_.arena_bytes; }

  const Graph& graph_;
  Placement placed_;
  std::vector<Task> tasks_;
  std::vector<int> first_tasks_;
  bool is_chain_ = false;
};

}  // namespace lariat
