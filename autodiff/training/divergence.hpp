#pragma once

#include <string>
#include <vector>

#include "autodiff/penalty/rewrite_report.hpp"
#include "graph/io/store.hpp"
#include "graph/ir/graph.hpp"

namespace lariat {

/// Which nodes of a training step do what.
struct StepParts {
  /// One past the last node of the loss as written, and of its gradient; what follows are updates.
  int32_t forward_end = 0, backward_end = 0;
  /// The node whose gradient a node is a part of, by node; -1 for others.
  std::vector<int32_t> gradient_of;
  /// The guard checks so many parts of the loss, then the gradients of these parameters.
  size_t loss_parts = 0;
  std::vector<std::string> guarded_gradients;
};

/// Runs a step that was ended by its checks once more, node by node on a copy of the store: what is not
/// finite, which op made it, of what, and what to do: "the loss is nan: [log] 'z' built at train.cpp:31
/// makes nan of -1 at element 0; …". "" where all is finite this time. `whole_loss` looks at all of the loss,
/// where the checks look at what data enter.
std::string explain_divergence(const Graph& step, const StepParts& parts, const Feeds& feeds,
                               const Store& store, bool whole_loss = false);

/// The same of a loss that only its terms of parameters make so, where that has not shown again.
std::string undefined_through(double loss, const RewriteReport& report);

/// What makes a loss infinite at finite weights, where no data do, in words.
std::string infinite_through(const RewriteReport& report);

}  // namespace lariat
