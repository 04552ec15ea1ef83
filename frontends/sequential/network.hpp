#pragma once

#include <memory>
#include <span>

#include "frontends/data/batches.hpp"
#include "frontends/sequential/layer.hpp"
#include "frontends/sequential/loss.hpp"
#include "frontends/sequential/metric.hpp"
#include "graph/program/program.hpp"

namespace lariat {

/// What one of a model's layers learns.
struct ModelOutput {
  /// Its name; empty: the last one.
  std::string layer = {};
  Loss loss = SoftmaxCrossEntropy{};
  /// None: the task's own.
  std::vector<Metric> metrics = {};
  /// What its loss is multiplied by.
  double weight = 1;
  /// Which of the data's targets it learns, by name; none: all, or of several outputs the one that is called
  /// like the layer, or that has its place.
  std::vector<std::string> targets = {};
  /// Where that was said.
  WrittenAt written = {};
};

/// A metric that has a value for each example, [batch].
struct ExampleMetric {
  std::string name;
  Value value;
  /// How much each example counts in the mean, [batch]: its weight, times its frames where an evaluation
  /// counts frames; empty: all alike.
  Value weight = {};
};

/// An output of a model, built.
struct Head {
  /// The layer's name; "" where there is no other output.
  std::string name;
  /// The layer's name, too.
  std::string layer;
  Loss loss;
  std::vector<Metric> metrics;
  double weight = 1;
  /// What the data are to it: targets are its own alone.
  DataShape shape;
  const LearningTask* task = nullptr;
  /// As in Network, without the weight. Numbers that are standardised are in the units of the data in outputs
  /// and metrics, and in their own in the loss.
  Value outputs, predictions, example_loss;
  /// Of a task of sequences: how many frames of the outputs are each example's, i32 [batch].
  Value lengths = {};
  /// The kind of its layer, and the function or op that this ends in.
  std::string last_layer = {}, activation = {};
  std::vector<ExampleMetric> example_metrics = {};

  /// Whether it learns numbers by its shape's target_scales.
  bool is_standardised() const { return task->name == "numbers" && !shape.target_scales.empty(); }
  /// An example, with the targets of this output.
  data::Example targets_of(const data::Example& example) const;
};

/// The layers of a model as a graph. Its inputs are "features", "labels" or "targets", for sequences
/// "lengths", and "weights" where examples have them.
struct Network {
  std::unique_ptr<Graph> graph;
  /// What each layer gives.
  std::vector<Signal> layers;
  std::vector<Head> heads;
  /// Of the first output.
  const LearningTask* task = nullptr;
  /// [batch, width], or [batch, time, width] where targets are by frame or symbols: what the first output's
  /// layer gives,
  /// and what the task makes of it, such as probabilities.
  Value outputs, predictions;
  /// [batch], the sum over all outputs, without penalties and examples' weights; a loss without a function
  /// has none.
  Value example_loss;
  /// Those of all outputs.
  std::vector<ExampleMetric> example_metrics;
  /// The mean of the example losses, each times the example's weight, plus every penalty: what training makes
  /// small. It is divided by how many examples there are, not by their weights.
  Value data_loss, loss;
  Penalties penalties;
  /// The same with every penalty times a scalar, once scheduled_loss() has been called.
  Value strength, loss_by_strength;
  bool reweighted = false;

  /// States that go on from batch to batch, also at inference (LayerContext::carry), and of how many rows the
  /// batches must be then; 0: of any number.
  std::vector<std::string> carried;
  int64_t rows = 0;

  /// The parameters that a penalty makes exactly zero in places, in the order of their names.
  std::vector<std::string> penalised() const;
  /// These, and the parameters of two axes or more: whose zeros mean something.
  std::vector<std::string> with_zeros() const;
};
/// loss_by_strength, whose input `strength` must be fed or scheduled. Where it is reweighted, an L1 penalty
/// of a parameter is λ Σ r|w| with factors r that are a state of its shape, 1 at first.
Value scheduled_loss(Network& network, bool reweighted = false);
/// The name of a parameter's factors.
std::string l1_factors_of(const std::string& parameter);

/// The columns of such data, all_columns among them, as inputs of a graph.
std::map<std::string, Signal> column_signals(Graph& graph, const DataShape& shape);
/// Throws UserError naming the layer where one does not fit what comes before it, or an output does not give
/// what its task needs, and where the data are not the loss's. `built` counts the layers that are built, then
/// the outputs.
Network build_network(const std::vector<LayerSpec>& layers, const DataShape& shape,
                      const std::vector<ModelOutput>& outputs, bool weighted = false,
                      size_t* built = nullptr);
/// The same with the last layer as the only output.
Network build_network(const std::vector<LayerSpec>& layers, const DataShape& shape, const Loss& loss,
                      const std::vector<Metric>& metrics, bool weighted = false);

/// Whether no element is NaN or infinite.
bool is_finite(const Tensor& tensor);

/// The feeds of one batch that are inputs of a network's graph.
Feeds feeds_of(const data::Batch& batch, const Graph& graph);

/// Throws UserError where states go on from batch to batch, and these data make batches of other rows.
void check_rows(const Network& network, const data::Dataset& dataset, std::optional<int> batch_size = {});

/// All examples of a dataset once, in batches for which their order does not matter: examples of like length
/// share one.
data::Batches unordered_batches(const data::Dataset& dataset, int batch_size, int time_multiple);

/// Values of a network over whole datasets, at inference (dropout off).
class Inference {
 public:
  /// Each value is [batch, …] of the network's graph, which must stay. `frozen` as of inference_program().
  /// With `rows` the examples stay in order, in batches of that size, and states are carried from each to the
  /// next.
  Inference(const Graph& graph, std::span<const Value> values, const Store* frozen = nullptr,
            int64_t rows = 0);
  /// Calls `take` with the values of batch after batch, which need not be of one size where there are no
  /// rows.
  void each(const data::Dataset& dataset, Store& store, Executor& executor, int batch_size, int time_multiple,
            const std::function<void(const data::Batch&, const std::vector<Tensor>&)>& take);

 private:
  const Graph& graph_;
  const int64_t rows_;
  std::unique_ptr<Program> program_;
};

}  // namespace lariat
