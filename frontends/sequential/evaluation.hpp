#pragma once

#include "frontends/sequential/network.hpp"

namespace lariat {

/// Where the rows of a dataset's examples are: one for each, or one for each frame where targets are by
/// frame.
class ExampleRows {
 public:
  ExampleRows(const data::Dataset& dataset, bool by_frame);

  size_t examples() const { return first_.size() - 1; }
  int64_t count() const { return first_.back(); }
  int64_t first(size_t example) const { return first_[example]; }
  int64_t count_of(size_t example) const { return first_[example + 1] - first_[example]; }
  /// Copies the values [batch, …] of a batch to the rows [count(), width] of its examples.
  void put(const data::Batch& batch, const Tensor& values, std::vector<float>& rows) const;

 private:
  std::vector<int64_t> first_;
};

/// What is true of a dataset, with the outputs that a model gave for it.
Outcome outcome_of(const LearningTask& task, const DataShape& shape, const data::Dataset& dataset,
                   std::vector<float> outputs);

/// What a model's outputs, its losses and its values of metrics for each example say together.
Evaluation evaluation_of(const Network& network, const DataShape& shape, const std::vector<Metric>& metrics,
                         const data::Dataset& dataset, std::vector<float> outputs,
                         const std::vector<float>& losses,
                         const std::vector<std::vector<float>>& example_metrics);

/// Linked outputs as predictions; `plain` where they are no probabilities.
std::vector<Prediction> predictions_of(const LearningTask& task, const DataShape& shape,
                                       const ExampleRows& rows, const std::vector<float>& values, bool plain);

}  // namespace lariat
