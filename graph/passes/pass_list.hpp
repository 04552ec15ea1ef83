#pragma once

#include <memory>

#include "graph/graph.hpp"

namespace lariat {

/// A transformation: builds in the empty graph `to` what computes the outputs of `from`.
struct Pass {
  std::string name;
  std::string doc;
  void (*run)(const Graph& from, Graph& to);
};

/// All passes in the order in which they run.
const std::vector<Pass>& passes();

/// Runs the passes in order, verifying after each. With `last`, stops after the first pass of that name;
/// throws UserError with the known names where there is none ("none" runs nothing).
std::unique_ptr<Graph> optimize(const Graph& graph, std::string_view last = {});

}  // namespace lariat
