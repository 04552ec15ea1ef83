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
  std::shared_ptr<const void> prepared, packed;
  size_t workspace_bytes = 0, workspace_offset = 0;
  std::byte* workspace = nullptr;
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
};

/// Follows alias nodes to the output whose memory they show.
Edge memory_of(const Graph& graph, Edge edge);

/// Places the buffers of the nodes in `order`: in place of an input that nobody reads later, over the old
/// value of the parameter that an output updates, or best fit in the arena. Throws UserError naming the node
/// that does not take the extents it gets, or whose result is larger than memory can be.
Placement place(const Graph& graph, const std::vector<int32_t>& order, const Bindings& bindings);

}  // namespace lariat
