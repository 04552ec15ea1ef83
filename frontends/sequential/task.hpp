#pragma once

#include "frontends/data/dataset.hpp"
#include "frontends/sequential/outcome.hpp"
#include "frontends/sequential/symbols.hpp"
#include "graph/ir/graph.hpp"

namespace lariat {

/// What a model is fed and what it learns.
struct DataShape {
  /// Sequences [batch, time, dimensions] with lengths, or plain data [batch, dimensions].
  bool sequences = false;
  int64_t dimensions = 0;
  std::vector<std::string> classes = {};
  data::Targets targets = {};
  std::vector<data::Column> columns = {};
  /// As a data set has them.
  std::vector<data::TargetScale> target_scales = {};

  friend bool operator==(const DataShape&, const DataShape&) = default;
};
/// Throws UserError for a dataset without examples, or one whose targets are named or timed amiss.
DataShape shape_of(const data::Dataset& dataset);

/// Numbers as they should be and as a model gave them: up to 2000 of a data set's rows, evenly spread.
struct Comparison {
  std::string name;
  std::vector<float> truth, given;
};

/// How well one class, or one of several labels, is told: shares of weights, 0 where there is nothing to
/// tell.
struct ClassScores {
  std::string name;
  double precision = 0, recall = 0, f1 = 0;
  double weight = 0;  ///< of the examples, or frames, that are of it
};

/// One symbol that is said in place of another, missing, or said without being so.
struct SymbolMistake {
  std::string truth, said;
  int64_t count = 0;
};

/// A model on labelled data, at inference.
struct Evaluation {
  int64_t examples = 0;
  /// The mean of the examples' losses, each times its weight; without penalties.
  double loss = 0;
  /// The share of the weight of right answers; NaN where numbers are learned.
  double accuracy = 0;
  MetricValues metrics;
  /// Of each class or label; empty where numbers are learned.
  std::vector<ClassScores> by_class;
  /// [label][prediction]: how many examples, or frames. Empty where classes do not exclude each other.
  std::vector<std::vector<int64_t>> confusion;
  /// What the rows and columns of the confusion are.
  std::vector<std::string> confusion_names;
  /// Of each number, where numbers are learned.
  std::vector<Comparison> comparisons;
  /// Where sequences of symbols are learned: what is wrong with all of them together, and what is taken for
  /// what how often, the most frequent first; "" is no symbol. The confusion counts it as its last name.
  SymbolErrors symbol_errors = {};
  std::vector<SymbolMistake> mistakes = {};
  /// Of a model of several outputs: what each is called, and its own. All but `examples`, `loss` and
  /// `metrics` above are the first one's then; the loss is the weighted sum.
  std::vector<std::string> output_names = {};
  std::vector<Evaluation> outputs = {};
  /// Whether examples have weights of their own.
  bool weighted = false;
};

/// What a model says of one example.
struct Prediction {
  /// The most probable class, and its index; of several labels those with a probability above ½, by commas;
  /// of margins by their signs. Empty where numbers are learned, or something for each frame.
  std::string label;
  int index = 0;
  /// Of that class; NaN where there is none, as margins have none.
  double probability = 0;
  /// Of every class, in their order, or of every label; none of margins.
  std::vector<float> probabilities;
  /// What the last layer's outputs mean, [width], or [frames, width] where targets are by frame, or symbols:
  /// probabilities, or numbers. Frames are those that the layers leave.
  std::vector<float> values = {};
  int64_t frames = 0;
  /// Of a model of several outputs, one for each; the members above are the first one's.
  std::vector<Prediction> outputs = {};
  /// Of a sequence: `label` is these in words, and `probability` theirs, over all their alignments.
  std::vector<std::string> symbols = {};
};

/// What targets mean and are checked by, how wide a model's last layer must be, and what its outputs say.
struct LearningTask {
  std::string name, doc;
  /// Throws UserError where data of this shape have no such targets; `loss` is the one that wants them.
  void (*check_shape)(const DataShape& shape, const std::string& loss);
  /// Throws UserError naming the example where a target is none.
  void (*check_targets)(const data::Example& example, const DataShape& shape);
  /// How many outputs there are, and why: "the data have 10 classes".
  int64_t (*outputs)(const DataShape& shape);
  std::string (*reason)(const DataShape& shape);
  /// What they are called.
  std::vector<std::string> (*names)(const DataShape& shape);
  /// The targets in a graph: i32 indices [batch] or [batch, time], or f32 [.., outputs].
  Value (*targets)(Graph& graph, const DataShape& shape);
  /// Outputs to predictions.
  Value (*link)(Value outputs);
  /// Whether exactly one output is true.
  bool exclusive = false;
  /// Writes an example's targets, or those of one frame, as `outputs` numbers.
  void (*truth)(const data::Example& example, const DataShape& shape, int64_t frame, float* row);
  /// The metrics where none are named.
  std::vector<std::string> metrics = {};
  /// Completes an evaluation by what is shown of the task: a confusion, or comparisons.
  void (*show)(const Outcome& outcome, Evaluation& evaluation);
  /// Of one output that tells two classes apart: what both are called; nullptr of other tasks.
  std::vector<std::string> (*answers)(const DataShape& shape) = nullptr;
  /// Says in words what the linked outputs of an example are, where they are probabilities.
  void (*describe)(const DataShape& shape, Prediction& prediction);
  /// Of a task whose targets are a sequence of symbols: the symbols that are said by the outputs [frames,
  /// width] of all frames, by a search of so many beginnings; 0: by the best path. nullptr of other tasks,
  /// and this one needs neither `truth` nor `describe`.
  std::vector<int32_t> (*decode)(std::span<const float> outputs, int64_t width, int64_t beam) = nullptr;
  /// What `lariat recipe new` begins a recipe of this task with, where no kind of data says it.
  std::string recipe = {};
};

/// Every task.
const std::vector<LearningTask>& tasks();
/// Throws UserError with the nearest name.
const LearningTask& task_named(const std::string& name);

/// What several tasks share.
namespace task_parts {
/// The input "targets", f32 [batch, width] or [batch, time, width], or those of its columns that are meant.
Value targets_input(Graph& graph, const DataShape& shape);
/// Numbers as a model learns them by the shape's target_scales, and what it gives in the units of the data.
Value standardised(Value targets, const DataShape& shape);
Value in_units_of_data(Value outputs, const DataShape& shape);
/// The input "labels", i32 [batch].
Value labels_input(Graph& graph);
/// The targets' names, or "0", "1", …
std::vector<std::string> target_names(const DataShape& shape);
/// "row 3: ", to begin a message with.
std::string place_of(const data::Example& example);
/// Throws UserError unless every target is a number from 0 to 1.
void check_shares(const data::Example& example, const DataShape& shape);
/// The same unless every one is 0 or 1.
void check_no_shares(const data::Example& example, const DataShape& shape, const std::string& loss);
void copy_truth(const data::Example& example, const DataShape& shape, int64_t frame, float* row);
/// [truth][said], by `names`.
void show_confusion(const std::vector<int64_t>& truth, const std::vector<int64_t>& said,
                    std::vector<std::string> names, Evaluation& evaluation);
}  // namespace task_parts

}  // namespace lariat
