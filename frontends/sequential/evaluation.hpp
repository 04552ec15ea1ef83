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

/// Throws UserError where data of one shape are no input of a model that was built for those of another.
void check_shape(const DataShape& given, const DataShape& shape);
/// Throws UserError where data do not fit a model that was built for data of `shape`, nor, where they are
/// labelled, what it learns.
void check_data(const data::Dataset& dataset, const Network& network, const std::vector<LayerSpec>& layers,
                const DataShape& shape, bool labelled);

/// Throws UserError where a number to learn is one that the model's last activation cannot give.
void check_reach(const data::Dataset& dataset, const Network& network);

/// What is true of a dataset, with the outputs that a model gave for it.
Outcome outcome_of(const LearningTask& task, const DataShape& shape, const data::Dataset& dataset,
                   std::vector<float> outputs);

/// What an output of a model gave for all examples: its values, the losses, and its example_metrics.
struct HeadValues {
  std::vector<float> outputs, losses;
  std::vector<std::vector<float>> metrics;
};
/// What that says together, of all outputs.
Evaluation evaluation_of(const Network& network, const data::Dataset& dataset,
                         std::vector<HeadValues> values);

/// Linked outputs, of each of the model's, as predictions.
std::vector<Prediction> predictions_of(const Network& network, const ExampleRows& rows,
                                       const std::vector<std::vector<float>>& values);

}  // namespace lariat
