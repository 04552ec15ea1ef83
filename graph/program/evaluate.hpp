#pragma once

#include <initializer_list>
#include <utility>
#include <vector>

#include "graph/io/store.hpp"
#include "graph/ir/value.hpp"

namespace lariat {

/// What a value is for these feeds, at inference (dropout off); parameters and states are taken from
/// `store`. Each call optimises and plans anew: for many calls there are Trainer::evaluate and Program.
/// Throws UserError where a feed or a tensor of the store is missing or of another type.
Tensor evaluate(Value value, const Feeds& feeds = {}, const Store& store = {});
Tensor evaluate(Value value, std::initializer_list<std::pair<Value, Tensor>> feeds, const Store& store = {});
/// Several values of one graph, in one run.
std::vector<Tensor> evaluate(const std::vector<Value>& values, const Feeds& feeds = {},
                             const Store& store = {});

}  // namespace lariat
