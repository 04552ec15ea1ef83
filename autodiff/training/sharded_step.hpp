#pragma once

#include "autodiff/training/training_step.hpp"
#include "graph/program/program.hpp"
#include "graph/ranks/sum/tree_sum.hpp"

namespace lariat {

/// Throws UserError where ranks are to train together but there is nothing to share, or processes were
/// started together that are no ranks.
void check_ranks(const TrainerOptions& options, const Optimizer& optimizer);

/// The steps of a trainer in micro-shards, of which this process computes its own.
class ShardedStep {
 public:
  explicit ShardedStep(const TrainerOptions& options);

  /// What training_step() takes.
  TreeSum& sum() { return sum_; }
  /// Whether the process says what there is to be said of a training.
  bool speaks() const { return !ranks_ || ranks_->rank() == 0; }
  /// The parts that this process computes, of one that has none the first: it counts for nothing then.
  std::vector<size_t> own_parts(std::span<const double> shares);
  /// The feeds are of own_parts(). `last` is the program of the whole step, `written` what its parts are made
  /// of.
  StepResult run(std::span<const Feeds> parts, std::span<const double> shares, Program& last, Value written,
                 Store& store, Executor& executor);

 private:
  StepResult run_own(std::span<const Feeds> parts, std::span<const double> shares, Program& last,
                     Value written, Store& store, Executor& executor);

  const TrainerOptions& options_;
  std::shared_ptr<Ranks> ranks_;
  TreeSum sum_;
  std::unique_ptr<Program> part_;
};

/// Adds `share` times what a program put out, in the order of its graph's outputs.
void add_results(StepResult& sum, const Graph& graph, const std::vector<Tensor>& results, double share,
                 Feeds* gradients = nullptr);

}  // namespace lariat
