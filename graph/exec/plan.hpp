#pragma once

#include "graph/graph.hpp"
#include "graph/op_def.hpp"

namespace lariat {

/// Where a buffer lives: at an offset of the arena, or as the feed, store tensor or constant of source node
/// `index`.
struct Location {
  enum class Kind { arena, feed, store, constant } kind = Kind::arena;
  size_t index = 0;
};

/// One run of one node's kernel.
struct Step {
  int32_t node = -1;
  std::vector<TensorView> inputs, outputs;
  std::vector<Location> input_locations, output_locations;
  std::shared_ptr<const void> prepared;
  size_t workspace_bytes = 0, workspace_offset = 0;
  std::byte* workspace = nullptr;
  /// Estimated time on one thread.
  double microseconds = 0;
};

/// Consecutive steps run as one unit; `successors` wait for it.
struct Task {
  int first_step = 0, last_step = 0;
  std::vector<int> successors;
  int predecessors = 0;
};

/// How a graph is run for given extents: order, places of all buffers, and the tasks with their dependencies.
/// The graph must outlive the plan.
class Plan {
 public:
  /// `bindings` gives every symbolic dimension a size. Throws UserError naming the node that does not take
  /// the extents it gets, or whose result is larger than memory can be.
  Plan(const Graph& graph, const Bindings& bindings);

  const Graph& graph() const { return graph_; }
  std::vector<Step>& steps() { return steps_; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Task>& tasks() const { return tasks_; }
  /// Bytes of all temporaries together, known before the first run.
  size_t arena_bytes() const { return arena_bytes_; }
  /// Bytes the temporaries would take without reuse.
  size_t total_bytes() const { return total_bytes_; }
  const TensorView& result(size_t output) const { return results_[output]; }
  const Location& result_location(size_t output) const { return result_locations_[output]; }
  /// Points every view at its memory. `source_data` gives the memory of feeds, store tensors and constants by
  /// node.
  void bind(std::byte* arena, const std::vector<void*>& source_data);

 private:
  void order(std::vector<int32_t>& nodes);
  void place(const std::vector<int32_t>& nodes, const Bindings& bindings);
  void group();

  const Graph& graph_;
  std::vector<Step> steps_;
  std::vector<std::vector<int>> predecessors_;
  std::vector<Task> tasks_;
  std::vector<TensorView> results_;
  std::vector<Location> result_locations_;
  size_t arena_bytes_ = 0, total_bytes_ = 0;
};

}  // namespace lariat
