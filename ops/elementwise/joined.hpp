#pragma once

#include <optional>

#include "graph/ir/graph.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat {

/// A node of a fused body and those before it whose results it alone reads, as one block kernel: what is
/// between them stays in registers, and has the same bits.
struct JoinedNodes {
  BlockKernel block = nullptr;
  std::vector<Edge> arguments;
  /// All but the last of them.
  std::vector<int32_t> before;
};

/// What node `id` can be joined with; nothing where there is no such kernel. `readers` counts, for each node,
/// the nodes and outputs that read it.
std::optional<JoinedNodes> join(const Graph& body, int32_t id, const std::vector<int>& readers);

}  // namespace lariat
