#pragma once

#include <functional>

#include "graph/exec/execution_order.hpp"

namespace lariat {

/// Where a buffer lives: at an offset of the arena, as the feed, store tensor or constant of source node
/// `index`, or nowhere.
struct Location {
  enum class Kind { arena, feed, store, constant, none } kind = Kind::arena;
  size_t index = 0;
};

/// One run of one node's kernel.
struct Step {
  int32_t node = -1;
  std::vector<TensorView> inputs, outputs;
  std::vector<Location> input_locations, output_locations;
  std::shared_ptr<const void> prepared, packed;
  Workspace workspace;
  size_t workspace_offset = 0;  // of what all threads share
  Scratch scratch;
  /// Estimated work, and time on one thread.
  Cost cost;
  double microseconds = 0;
};

/// The steps of a graph in their order, with a place for every buffer.
struct Placement {
  std::vector<Step> steps;
  /// Steps that must be done before each step: they make what it reads, or use the memory it writes.
  std::vector<std::vector<int>> predecessors;
  /// By output of the graph.
  std::vector<TensorView> results;
  std::vector<Location> result_locations;
  /// Bytes of all temporaries together, and what they would take without reuse.
  size_t arena_bytes = 0, total_bytes = 0;
  /// Bytes of scratch for each thread.
  size_t thread_bytes = 0;
};

/// What a node's `pack` makes of its constant inputs, or nothing.
using PackConstants = std::function<std::shared_ptr<const void>(const Node& node, const Step& step)>;

/// Places the buffers of the nodes that are run: in place of an input that nobody reads later, over the old
/// value of the parameter that an output updates, or best fit in the arena. Throws UserError naming the node
/// that does not take the extents it gets, or whose result is larger than memory can be.
Placement place(const ExecutionOrder& order, const Bindings& bindings, const PackConstants& pack = {});

}  // namespace lariat
