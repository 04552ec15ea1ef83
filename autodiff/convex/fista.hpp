#pragma once

#include "autodiff/convex/duality.hpp"
#include "autodiff/convex/method.hpp"

namespace lariat::convex {

/// The value at some weights, which may be infinite; the gradient goes to the second argument.
using SmoothFunction = std::function<double(std::span<const double>, std::span<double>)>;

/// A smooth function of all coordinates with its gradient, from the graph: any loss, not only of linear
/// models.
class GraphFunction {
 public:
  /// `loss` without the nodes in `zeroed`.
  GraphFunction(Value loss, const Coordinates& coordinates, std::span<const Value> zeroed,
                Executor& executor);
  double operator()(std::span<const double> w, std::span<double> gradient);

 private:
  std::unique_ptr<Program> program_;
  Executor& executor_;
  Store store_;
  std::vector<std::string> names_;
};

/// The loss of a linear model in conditioned coordinates.
class RowFunction {
 public:
  RowFunction(const LinearModel& model, RowLoss& loss, const ParallelFor& parallel);
  double operator()(std::span<const double> v, std::span<double> gradient);
  /// What rounding leaves in the latest gradient.
  double rounding() const { return rounding_; }

 private:
  const LinearModel& model_;
  RowLoss& loss_;
  const ParallelFor& parallel_;
  std::vector<int64_t> all_;
  double rounding_ = 0;
};

/// The penalty of all coordinates together.
class ProxFunction {
 public:
  virtual ~ProxFunction() = default;
  virtual double total(std::span<const double> w) = 0;
  /// argmin_w h(w) + ‖w − v‖²/(2·step).
  virtual void prox(std::span<const double> v, double step, std::span<double> to) = 0;
  /// How far each coordinate is from optimal: by the distance of −g to ∂h(w), or what the step would tell.
  virtual void distances(std::span<const double> w, std::span<const double> g, double step,
                         std::span<double> to) = 0;
};

class SeparableProx final : public ProxFunction {
 public:
  explicit SeparableProx(const SeparablePenalty& penalty) : penalty_(penalty) {}
  double total(std::span<const double> w) override { return penalty_.total(w); }
  void prox(std::span<const double> v, double step, std::span<double> to) override;
  void distances(std::span<const double> w, std::span<const double> g, double step,
                 std::span<double> to) override;

 private:
  const SeparablePenalty& penalty_;
};

/// What is known of weights with such a gradient, where it is worth the effort or `even_far`.
using Judge = std::function<std::optional<Bound>(std::span<const double>, std::span<const double>, bool)>;

/// Minimises f(w) + h(w) by proximal gradient steps with backtracking; `accelerated` adds momentum (Beck and
/// Teboulle 2009, FISTA), dropped whenever ⟨y − w⁺, w⁺ − w⟩ > 0 (O'Donoghue and Candès 2015). Stops by the
/// gap where there is a judge. Throws JobError where f is not finite at the start.
Result proximal_gradient(const SmoothFunction& f, ProxFunction& penalty, std::vector<double> start,
                         bool accelerated, const StoppingRule& rule, const Judge& judge);

}  // namespace lariat::convex
