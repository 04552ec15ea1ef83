#pragma once

#include <memory>

#include "graph/ir/graph.hpp"

namespace lariat {

/// A transformation: builds in the empty graph `to` what computes the outputs of `from`.
struct Pass {
  std::string name;
  std::string doc;
  void (*run)(const Graph& from, Graph& to);
  /// Whether it would only copy the graph, as far as that is quickly told.
  bool (*is_idle)(const Graph& graph) = nullptr;
};

/// All passes in the order in which they run.
const std::vector<Pass>& passes();

/// Which passes run.
struct PassOptions {
  /// The last one; "": all, "none": not one.
  std::string last = {};
  /// Passes that are left out, beside those that the environment variable LARIAT_WITHOUT_PASSES names,
  /// separated by commas.
  std::vector<std::string> without = {};
};

/// Runs the passes in order, verifying after each. Throws UserError with the nearest name for a pass that
/// there is not.
std::unique_ptr<Graph> optimize(const Graph& graph, const PassOptions& options = {});

}  // namespace lariat
