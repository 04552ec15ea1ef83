#pragma once

#include <vector>

#include "graph/ir/graph.hpp"

namespace lariat {

/// Element-wise nodes that run as one loop, in the graph's order, with sums over all that they compute.
struct LoopGroups {
  std::vector<std::vector<int32_t>> members;
  /// The group of each node; -1 for nodes that are in none.
  std::vector<int> of;
};

/// Finds the largest groups that no path leads out of and into again: chains, whatever reads the same tensor
/// at the same place, and the sums of both.
LoopGroups find_loop_groups(const Graph& graph);

}  // namespace lariat
