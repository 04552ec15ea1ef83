#pragma once

#include "autodiff/check/op_claims.hpp"

namespace lariat {

/// What a penalty with a prox of its own claims, each compared with what its values say. Nothing of the
/// rewrite takes part: the values come from the kernel, minima from an ellipsoid method (Shor 1977) on values
/// and gradients, from a search of the line for functions of single elements, and from a search of patterns.
/// A minimum counts only where its value is lower than that at the prox.
///
///   prox         a minimum of Σ weight·φ(w) + Σ(w − v)²/(2 step), and the point where (v − w)/step is a
///                subgradient: for one step and for steps by element, several weights, points of all sizes,
///                at kinks, beside them and with elements that are equal; in f32 as in f64; also for a
///                threshold as small as a training has; NaN comes through
///   residual     the least element of gradient + subdifferential: it is one, no direction that it names
///   leads
///                lower than its length says, and at the prox it is 0
///   convex       every output between two points is at most what it is along the chord
///   smooth       no kink on lines through the samples
///   combination  with kinks at 0 before it (last), or with equal kinks and bounds behind it (first): a
///   minimum of
///                the sum
///   beside kinks the prox of the sum with a piecewise linear function of each element: a minimum of it
std::vector<OpClaim> penalty_claims(const OpDef& op, const OpCases& cases);

}  // namespace lariat
