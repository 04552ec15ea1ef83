#pragma once

#include <map>

#include "autodiff/penalty/penalty.hpp"

namespace lariat {

// The element of least norm in ∇f + ∂h, whose norm is the distance of −∇f to ∂h. For h = Σ hₖ it is the least
// ‖∇f + Σ Aₖᵀsₖ‖ over sₖ ∈ ∂hₖ, a convex problem whose blocks have projections, whether or not the prox of h
// is known: every sₖ in turn takes a projected gradient step (Beck and Tetruashvili 2013), which is the exact
// minimum for a block by itself.

/// One part of h with a subgradient of its own: the functions of single elements of one parameter together,
/// or one structured term.
struct SubgradientBlock {
  /// A chosen subgradient, and what it becomes.
  Value subgradient, next;
  /// Of a structured term: the input for its argument, in which elements are equal that only rounding sets
  /// apart; the argument as it is, and the size of the numbers that it is made of.
  Value argument = {}, as_computed = {}, magnitude = {};
};

/// The nodes of one sweep over all blocks.
struct SubgradientSweep {
  std::vector<SubgradientBlock> blocks;
  /// By parameter: gradient + Σ subgradients behind the sweep, and, where it is bounded, whether an element
  /// is outside.
  std::map<std::string, Value> sums, outside;
};

/// What a sweep is made of.
struct SweepInputs {
  /// Gradient + Σ subgradients by parameter as they are before.
  std::map<std::string, Value> sums;
  /// Elements where this (by parameter; none: nowhere) is not 0 are held at zero, and count for nothing.
  std::map<std::string, Value> held;
  /// Weights this close to a kink or bound, relative to their size, are at it: what rounding may set apart.
  double tolerance = 0;
  /// Makes an input.
  std::function<Value(const TensorType&)> input;
};
SubgradientSweep subgradient_sweep(const SweepInputs& inputs, const std::vector<PenaltyTerm>& terms);

/// The gradient of the squares among `terms`, by parameter.
std::map<std::string, Value> gradients_of_squares(const std::vector<PenaltyTerm>& terms);

}  // namespace lariat
