#pragma once

#include "autodiff/training/training_step.hpp"
#include "graph/program/program.hpp"

namespace lariat {

/// The steps of a trainer whose optimizer moves all parameters together.
class JointStep {
 public:
  /// Of the loss "loss" and the metrics that `written` puts out. Throws UserError for terms and options that
  /// do not go with the method.
  JointStep(Value written, const Optimizer& optimizer, const TrainerOptions& options, LossAnalysis& analysis);

  const Graph& graph() const { return graph_; }
  /// What its program gives, the first time, is about the weights before the step.
  StepResult run(const Feeds& feeds, Program& program, Store& store, Executor& executor,
                 double learning_rate) const;
  void prepare(Store& store) const;

 private:
  std::shared_ptr<const JointMethod> method_;
  Graph graph_;
  std::vector<std::string> parameters_;
};

}  // namespace lariat
