#pragma once

#include "frontends/sequential/network.hpp"
#include "frontends/sequential/wiring.hpp"
#include "graph/io/store.hpp"

namespace lariat {

/// Layers with their weights: what a model file holds, less what only training needs. They may take each
/// other's outputs, and share weights, as they like.
struct Stack {
  std::vector<LayerSpec> layers;
  Store weights;
  DataShape shape;
  /// How many outputs the output layer has where it does not say so itself.
  int64_t outputs = 0;
  /// The names of the layers, or of their states, that are outputs; none: the last layer.
  std::vector<std::string> output_names = {};
  /// `outputs` of each of several.
  std::vector<int64_t> widths = {};

  /// `outputs` as a layer that is built is to have it.
  int64_t width_of(const Wiring& wiring, size_t layer) const;
};

/// The graph of a stack, and what flows behind each of its layers; the first is what goes in.
struct StackGraph {
  std::unique_ptr<Graph> graph;
  std::vector<Signal> signals;
  Wiring wiring;
  /// What each layer takes, and what its states begin with, by name.
  std::vector<std::vector<Signal>> inputs;
  std::vector<std::vector<std::pair<std::string, Signal>>> initial;
  /// What the model gives.
  std::vector<Signal> outputs;

  const Signal& output() const { return outputs.front(); }
};
StackGraph graph_of(const Stack& stack);

/// What compact() did.
struct CompactReport {
  /// Units, filters or channels of the output of each layer that there was, before and after.
  std::vector<std::pair<int64_t, int64_t>> units = {};
  /// Those that went because nothing reads them; because they are always 0; because they are always another
  /// number, which the biases behind them hold.
  int64_t unread = 0, zero = 0, folded = 0;
  /// Channels of the data that nothing reads, where a layer `select` in front leaves them out.
  int64_t unread_data = 0;
  /// Of what zeros have made useless and stays all the same, a line for each layer and reason.
  std::vector<std::string> kept = {};
};

/// Takes out of `stack` what its zeros make useless, until nothing is left to take: units that nothing reads,
/// and units that are always the same number, whose share goes into the biases of what reads them. Units are
/// those of dense layers, filters of convolutions, states of recurrent layers with all their gates, and
/// entries of embeddings, as far as the layers between them and all that read them let them go; the model's
/// outputs stay, and so do units of layers whose weights are used twice, or whose states begin with what
/// others give or are taken by others. Of a stack in which each layer takes what the one before it gives:
/// where an eighth of the data's channels or more are unread, a layer `select` in front picks out the others.
///
/// What is left out of sums are terms of 0, so that the results are those of before but for the order in
/// which a product of another size is added up. A constant other than 0 is added at another place: each sum
/// of n terms xᵢ·wᵢ may then differ by up to 2·n·2⁻²⁴·Σ|xᵢ·wᵢ|.
CompactReport compact(Stack& stack);

}  // namespace lariat
