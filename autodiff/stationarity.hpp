#pragma once

#include <map>

#include "autodiff/penalty.hpp"

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
};

/// The nodes of one sweep over all blocks.
struct SubgradientSweep {
  std::vector<SubgradientBlock> blocks;
  /// By parameter: gradient + Σ subgradients behind the sweep.
  std::map<std::string, Value> sums;
};

/// Builds a sweep over `terms` at the parameters' values in the graph. `sums` are gradient + Σ subgradients
/// by parameter as they are before; `input` makes the input for the subgradient of a block from its type.
/// Elements where `kept` (by parameter; an empty value: nowhere) is not 0 are held at zero, and count for
/// nothing.
SubgradientSweep subgradient_sweep(std::map<std::string, Value> sums, const std::vector<PenaltyTerm>& terms,
                                   const std::map<std::string, Value>& kept,
                                   const std::function<Value(const TensorType&)>& input);

/// The gradient of the squares among `terms`, by parameter.
std::map<std::string, Value> gradients_of_squares(const std::vector<PenaltyTerm>& terms);

/// Where 0 is within the bounds that `terms` put on a parameter: 1, else 0; empty without bounds.
Value allows_zero(Value parameter, const std::vector<PenaltyTerm>& terms);
/// Where `on` is not 0: 1 at the zeros of a parameter that its bounds allow.
Value held_zeros(Value parameter, Value on, const std::vector<PenaltyTerm>& terms);

}  // namespace lariat
