#pragma once

#include "autodiff/convex/duality.hpp"
#include "autodiff/convex/method.hpp"

namespace lariat::convex {

/// A smooth function of all coordinates with its gradient, from the graph: any loss, not only of linear
/// models.
class SmoothFunction {
 public:
  /// `loss` without the nodes in `zeroed`.
  SmoothFunction(Value loss, const Coordinates& coordinates, std::span<const Value> zeroed,
                 Executor& executor);
  /// The value at w; the gradient goes to `gradient`. Throws JobError where the value is not finite.
  double at(std::span<const double> w, std::span<double> gradient);

 private:
  std::unique_ptr<Program> program_;
  Executor& executor_;
  Store store_;
  std::vector<std::string> names_;
};

/// What the certificate of a linear model needs.
struct Certifier {
  const LinearModel* model = nullptr;
  RowLoss* loss = nullptr;
  const ParallelFor* parallel = nullptr;
};

/// Minimises f(w) + h(w) by proximal gradient steps with backtracking; `accelerated` adds momentum (Beck and
/// Teboulle 2009, FISTA), dropped whenever ⟨y − w⁺, w⁺ − w⟩ > 0 (O'Donoghue and Candès 2015). Stops by the
/// gap where there is a model to have one from.
Result proximal_gradient(SmoothFunction& f, const SeparablePenalty& penalty, std::vector<double> start,
                         bool accelerated, const StoppingRule& rule, const Certifier& certifier);

}  // namespace lariat::convex
