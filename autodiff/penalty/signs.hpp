#pragma once

#include <vector>

#include "graph/ir/graph.hpp"

namespace lariat {

/// Which values of a growing graph are 0 or more, or more than 0, by construction: whatever the parameters
/// and the data are.
class Signs {
 public:
  explicit Signs(const Graph& graph) : graph_(graph) {}
  bool is_nonnegative(Value value) { return of(value) >= Sign::nonnegative; }
  bool is_positive(Value value) { return of(value) == Sign::positive; }

 private:
  enum class Sign { any, nonnegative, positive };
  Sign of(Value value);
  Sign found(const Node& node) const;

  const Graph& graph_;
  std::vector<Sign> known_;  // of all outputs of each node
};

}  // namespace lariat
