#pragma once

#include <map>

#include "graph/ir/graph.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat {

/// What the plans of a graph have in common, whatever its extents: the order of nodes, and which memory each
/// may write over. The graph must outlive it.
class ExecutionOrder {
 public:
  explicit ExecutionOrder(const Graph& graph);

  static constexpr int never = 1 << 30;

  const Graph& graph() const { return graph_; }
  /// The nodes that are run, in their order.
  const std::vector<int32_t>& nodes() const { return nodes_; }
  /// All outputs of all nodes are numbered from 0.
  size_t value_count() const { return static_cast<size_t>(first_value_.back()); }
  size_t index_of(Edge edge) const { return static_cast<size_t>(first_value_[edge.node] + edge.output); }
  /// The output whose memory an output shows: its own, or the one behind alias nodes.
  Edge memory_of(Edge edge) const { return edge.output == 0 ? memory_[edge.node] : edge; }
  /// The position in the order of the last node that reads the memory of an output; -1 where nobody does,
  /// `never` where the caller does once all is done.
  int last_read(Edge memory) const { return last_read_[index_of(memory)]; }
  /// The source node whose old value an output may be written over, -1 for none.
  int32_t overwrites(Edge edge) const { return overwrites_[index_of(edge)]; }
  /// Whether all types of a node's inputs and outputs are known without extents.
  bool is_fixed(int32_t id) const { return fixed_[id]; }

 private:
  void find_memory();
  void find_order();
  void find_last_reads();
  void find_overwrites();

  const Graph& graph_;
  std::vector<int> first_value_;  // of each node
  std::vector<Edge> memory_;      // behind output 0 of each node
  std::vector<int32_t> nodes_;
  std::vector<int> last_read_;
  std::vector<int32_t> overwrites_;
  std::vector<bool> fixed_;
};

/// The memories that a node reads, and by which inputs. Asking takes time in the number of inputs that read
/// the memory asked for.
class Reads {
 public:
  Reads(const ExecutionOrder& order, const Node& node);
  /// Whether the node may write `output` over `memory`: it reads that only element by element in the output's
  /// shape, or its record says so and it reads it by no other way.
  bool may_overwrite(size_t output, Edge memory) const;

 private:
  const Graph& graph_;
  const Node& node_;
  std::vector<std::pair<std::pair<int32_t, int32_t>, size_t>> inputs_;  // node and output of memory, input
};

}  // namespace lariat
