#pragma once

#include <memory>
#include <span>

#include "frontends/data/batches.hpp"
#include "frontends/sequential/layer.hpp"
#include "frontends/sequential/loss.hpp"
#include "graph/program/program.hpp"

namespace lariat {

/// What a model is fed and what it tells apart.
struct DataShape {
  /// Sequences [batch, time, dimensions] with lengths, or plain data [batch, dimensions].
  bool sequences = false;
  int64_t dimensions = 0;
  std::vector<std::string> classes;

  friend bool operator==(const DataShape&, const DataShape&) = default;
};
/// Throws UserError for a dataset without examples.
DataShape shape_of(const data::Dataset& dataset);

/// A stack of layers as a graph. Its inputs are "features", "labels" and, for sequences, "lengths".
struct Network {
  std::unique_ptr<Graph> graph;
  /// [batch, classes].
  Value logits, probabilities;
  /// Of each example, without penalties.
  Value example_loss;
  std::vector<Value> example_metrics;
  /// The mean of the example losses plus every penalty: what training makes small.
  Value loss;
  Penalties penalties;
  /// The same with every penalty times a scalar, once scheduled_loss() has been called.
  Value strength, loss_by_strength;

  /// The parameters that a penalty makes exactly zero in places, in the order of their names.
  std::vector<std::string> penalised() const;
};
/// loss_by_strength, whose input `strength` must be fed or scheduled.
Value scheduled_loss(Network& network);

/// Throws UserError naming the layer where one does not fit what comes before it, or the last one does not
/// give a logit for each class.
Network build_network(const std::vector<LayerSpec>& layers, const DataShape& shape, const Loss& loss,
                      const std::vector<Metric>& metrics);

/// Whether no element is NaN or infinite.
bool is_finite(const Tensor& tensor);

/// The feeds of one batch; those that a graph has no use for do no harm.
Feeds feeds_of(const data::Batch& batch, bool sequences);

/// All examples of a dataset once, in batches for which their order does not matter: examples of like length
/// share one.
data::Batches unordered_batches(const data::Dataset& dataset, int batch_size, int time_multiple);

/// Values of a network over whole datasets, at inference (dropout off).
class Inference {
 public:
  /// Each value is [batch, …] of the network's graph. `frozen` as of inference_program().
  Inference(const Graph& graph, std::span<const Value> values, const Store* frozen = nullptr);
  /// Each value for all examples in the dataset's order: [examples, …].
  std::vector<Tensor> run(const data::Dataset& dataset, Store& store, Executor& executor, int batch_size,
                          int time_multiple);

 private:
  std::unique_ptr<Program> program_;
};

}  // namespace lariat
