#pragma once

#include "frontends/sequential/network.hpp"
#include "graph/io/store.hpp"

namespace lariat {

/// A stack of layers with its weights: what a model file holds, less what only training needs.
struct Stack {
  std::vector<LayerSpec> layers;
  Store weights;
  DataShape shape;
  /// How many outputs the last layer has.
  int64_t outputs = 0;
};

/// The graph of a stack, and what flows behind each of its layers; the first is what goes in.
struct StackGraph {
  std::unique_ptr<Graph> graph;
  std::vector<Signal> signals;
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
/// entries of embeddings, as far as the layers between them and what reads them let them go; the last layer's
/// outputs stay. Where an eighth of the data's channels or more are unread, a layer `select` in front picks
/// out the others.
///
/// What is left out of sums are terms of 0, so that the results are those of before but for the order in
/// which a product of another size is added up. A constant other than 0 is added at another place: each sum
/// of n terms xᵢ·wᵢ may then differ by up to 2·n·2⁻²⁴·Σ|xᵢ·wᵢ|.
CompactReport compact(Stack& stack);

}  // namespace lariat
