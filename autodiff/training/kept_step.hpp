#pragma once

#include <map>
#include <set>
#include <string>

#include "graph/ir/graph.hpp"

namespace lariat {

/// The elements of a parameter [rows, columns] that a step computes, in compressed rows; the others are zero
/// and stay so.
struct KeptPlaces {
  Tensor columns, row_starts;
};
/// From the places as numbers row·columns + column, i32 [entries], ascending.
KeptPlaces kept_places(const Tensor& places, const Extents& extents);

/// The parameters of a training step, matrices of floats, whose zeros stay zero: where an element is 0, its
/// next value is, whatever the other values are.
std::set<std::string> parameters_that_keep_zeros(const Graph& step);

/// A training step that touches of some parameters only what is kept of them.
struct KeptStep {
  std::unique_ptr<Graph> graph;
  /// States of a parameter's optimizer that have one element for each kept one, by parameter.
  std::map<std::string, std::vector<std::string>> slots;
};

/// The same results as `step`, which passes have simplified, within rounding, as long as the other elements
/// of the parameters in `kept` are zero:
/// - products with such a parameter are sparse ones,
/// - what is computed element by element on the way to its next value, and to sums to which a zero adds
///   nothing, is computed at the kept places, and so is the product that is its gradient,
/// - its optimizer's states hold those elements only,
/// - its next value is written over the kept elements of the present one.
/// What needs all elements has them. `zero_slots` names states whose other elements are zero.
KeptStep kept_step(const Graph& step, const std::map<std::string, KeptPlaces>& kept,
                   const std::set<std::string>& zero_slots);

}  // namespace lariat
