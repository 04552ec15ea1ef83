#pragma once

#include <functional>

#include "graph/base/tensor.hpp"
#include "graph/ir/graph.hpp"

namespace lariat::to_c {

/// Throws UserError: the node does what a stream cannot.
[[noreturn]] void refuse_stream(const Node& node, const std::string& why);

/// What the lengths of sequences are to a graph with the inputs "features" and "lengths", for sequences of
/// `fewest` frames and more.
class StreamLengths {
 public:
  StreamLengths(const Graph& graph, int64_t fewest) : graph_(graph), fewest_(fewest) {}

  /// Throw UserError unless a sequence_mask has 1 for all frames, gather_steps takes the last one, and
  /// `lengths` are the number of frames of `sequence`.
  void check_mask(const Node& mask) const;
  void check_last(const Node& gather) const;
  void check_all(const Node& node, Edge lengths, Edge sequence) const;

 private:
  Tensor of_lengths(const Node& node, Edge edge, int64_t frames) const;
  void check(const Node& node, Edge edge, Edge sequence, const std::string& why,
             const std::function<bool(int64_t found, int64_t frames)>& right) const;

  const Graph& graph_;
  const int64_t fewest_;
};

}  // namespace lariat::to_c
