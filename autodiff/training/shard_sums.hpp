#pragma once

#include "autodiff/training/divergence.hpp"
#include "graph/ranks/sum/tree_sum.hpp"

namespace lariat {

/// What each micro-shard gives to a sum.
struct ShardValue {
  /// "the gradient of 'dense/weights'"
  std::string name;
  Value value;
  /// Not 0 where an element is of no interest; empty: nowhere.
  Value left_out = {};
};

/// Gradients by parameter, in the order in which a backward pass makes them, and what states come to.
std::vector<ShardValue> shard_values(const std::vector<Value>& parameters,
                                     const std::vector<Value>& gradients,
                                     const std::map<std::string, Value>& left_out,
                                     const std::map<std::string, Value>& states);

/// The next values of states that `written` updates, times the share, of which the sum over all micro-shards
/// is their mean. Throws UserError where a state of integers depends on data.
std::map<std::string, Value> next_states(const Graph& written, const GraphCopy& copy, Value share);

/// Nodes that give the values to the sum, in its buckets.
std::vector<Value> give_shard(const TreeSum& sum, Value share, const std::vector<ShardValue>& values);

/// Gives gradients and states to the sum, whose buckets it makes, and puts their sums in their place.
void sum_over_shards(TreeSum& sum, Value share, const std::vector<Value>& parameters,
                     const std::map<std::string, Value>& left_out, std::vector<Value>& gradients,
                     std::map<std::string, Value>& states);

/// The step with each give_gradients as soon as what it takes is there, and `parts` for it.
std::unique_ptr<Graph> given_early(const Graph& step, StepParts& parts);

}  // namespace lariat
