#pragma once

#include <map>
#include <optional>
#include <set>
#include <source_location>
#include <utility>
#include <vector>

#include "autodiff/penalty/linear_rows.hpp"
#include "autodiff/penalty/penalty_view.hpp"

namespace lariat {

std::vector<Value> parameters_of(Graph& graph);
/// The kinked penalties of parameters alone that the loss adds up.
std::vector<Value> plain_penalties(Value loss, const Dependence& depends);
/// These numbers as a constant.
Value indices(Graph& graph, const std::vector<int64_t>& numbers);

/// Which elements of the value are 0 whatever is fed and set: they are so for two values of all that is.
std::vector<bool> always_zero(Value value);

/// Two elements, by number, the smaller one first.
using Pair = std::pair<int64_t, int64_t>;

/// |differences| between the elements of pairs, in a row, and the place of each pair there.
struct Variation {
  Value differences;
  std::map<Pair, int64_t> places;
};
/// One total variation of all pairs, where they are all neighbours along an axis or form paths.
std::optional<Variation> variation_of(const std::set<Pair>& pairs, const ParameterElements& elements,
                                      DType dtype, std::source_location where);

/// The loss with the total variations of a parameter as one, as far as their differences form paths.
/// `penalties` are its plain ones.
Value with_variations_merged(Value loss, const std::vector<Value>& penalties);

}  // namespace lariat
