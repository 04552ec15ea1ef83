#pragma once

#include "frontends/sequential/network.hpp"

namespace lariat {

/// Where the rows of a dataset's examples are: one for each, or one for each frame where targets are by
/// frame.
class ExampleRows {
 public:
  ExampleRows(const data::Dataset& dataset, bool by_frame);
  /// Of as many rows as `counts` say.
  explicit ExampleRows(const std::vector<int64_t>& counts);

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

/// Why no example counts in the loss of labelled data that check_data() takes, for all are of classes whose
/// weight is 0; "" where one does.
std::string why_none_counts(const data::Dataset& dataset, const Network& network);

/// Throws UserError where a number to learn is one that the model's last activation cannot give.
void check_reach(const data::Dataset& dataset, const Network& network);

/// Outputs of sequences that layers may have made shorter, as they come batch by batch: those of each example
/// alone, in the order of the dataset.
class SequenceOutputs {
 public:
  explicit SequenceOutputs(size_t examples) : outputs_(examples) {}
  /// Values [batch, frames, width] and lengths i32 [batch].
  void put(const data::Batch& batch, const Tensor& values, const Tensor& lengths);
  /// All outputs one behind the other, and how many frames of them are each example's.
  std::pair<std::vector<float>, std::vector<int64_t>> joined() &&;

 private:
  std::vector<std::vector<float>> outputs_;
  int64_t width_ = 1;
};

/// What an output of a model gave for all examples: its values, the losses, and its example_metrics.
struct HeadValues {
  std::vector<float> outputs = {}, losses = {};
  std::vector<std::vector<float>> metrics = {};
  /// Of a task of sequences, how many frames of outputs each example has.
  std::vector<int64_t> frames = {};
};

/// What is true of a dataset, with the outputs that a model gave for it; `beam` as in EvaluateOptions.
Outcome outcome_of(const LearningTask& task, const DataShape& shape, const data::Dataset& dataset,
                   HeadValues values, int64_t beam);

/// What that says together, of all outputs.
Evaluation evaluation_of(const Network& network, const data::Dataset& dataset, std::vector<HeadValues> values,
                         int64_t beam = 0);

/// Linked outputs, of each of the model's, as predictions.
std::vector<Prediction> predictions_of(const Network& network, const data::Dataset& dataset,
                                       const std::vector<HeadValues>& values, int64_t beam = 0);

/// Values of each example, or of each of its frames, that a layer takes for symbols, whole numbers from 0.
struct SymbolInput {
  std::string layer;
  int64_t symbols = 0;  ///< how many there are
  std::string column;   ///< which the values are; "" where columns have no names
  int64_t first = 0, width = 0;
};
/// Those that layers take of the data themselves, one for each column.
std::vector<SymbolInput> symbol_inputs(const std::vector<LayerSpec>& layers, const DataShape& shape);
/// Throws UserError naming the example's source, the layer and the column where a value in memory is no
/// symbol.
void check_symbols(const data::Example& example, const std::vector<SymbolInput>& inputs);

}  // namespace lariat
