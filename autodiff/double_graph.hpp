#pragma once

#include <span>

#include "graph/io/store.hpp"
#include "graph/ir/graph.hpp"

namespace lariat::convex {

/// Copies the graph of `loss` into `to` as it is on the whole data: every float is f64, each input is the
/// constant that `feeds` gives, and every parameter and state that `trained` does not name is a constant with
/// its value in `store`. Throws UserError for an input that is not fed or of another shape, and where the
/// loss draws random numbers.
Value in_double(Value loss, const Feeds& feeds, const Store& store, std::span<const Value> trained,
                Graph& to);

/// Copies all of `from` into `to` with every float as f64; inputs, parameters and states stay what they are.
void copy_in_double(const Graph& from, Graph& to);

/// Copies what `loss` depends on into `to`, with zeros in place of the nodes `zeroed`, and `to`'s input "z"
/// in place of `cut` where that is a value. Returns the loss there.
Value copy_without(Value loss, std::span<const Value> zeroed, Value cut, Graph& to);

}  // namespace lariat::convex
