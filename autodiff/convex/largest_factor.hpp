#pragma once

#include "autodiff/convex/graph_penalty.hpp"

namespace lariat::convex {

/// The smallest factor for which penalised weights stay at zero: a prox step with it from there leads
/// nowhere. NaN where even a large one does not make them zero. The factor that `penalty` has is lost.
double largest_factor(GraphFunction& function, GraphPenalty& penalty, const Coordinates& coordinates,
                      const std::vector<PenaltyTerm>& terms);
/// The same of a penalty of single weights, whose kinks say how steep the loss may be where they are zero.
double largest_factor(GraphFunction& function, SeparablePenalty& penalty, int64_t count);

}  // namespace lariat::convex
