#pragma once

#include "autodiff/convex/fista.hpp"

namespace lariat::convex {

/// Any convex penalty that has a prox, one of a plugin among them, by the graph of that prox. It has no
/// conjugate here, so there is no duality gap. In coordinates v with w = units·v its prox is that of the
/// metric 1/units², where the record knows it.
class GraphPenalty final : public ProxFunction {
 public:
  /// `terms` are penalties in the graph of `loss`, which gets nodes for their prox, and `cut` their nodes.
  /// The units are 1 of parameters that take one step.
  GraphPenalty(Value loss, const std::vector<PenaltyTerm>& terms, std::span<const Value> cut,
               const Coordinates& coordinates, std::span<const double> units, Executor& executor);

  double factor = 1;

  double total(std::span<const double> w) override;
  void prox(std::span<const double> v, double step, std::span<double> to) override;
  /// By the prox: of the gradient mapping with that step.
  void distances(std::span<const double> w, std::span<const double> g, double step,
                 std::span<double> to) override;
  /// The penalty as a function of v, as long as this is there.
  std::unique_ptr<ProxFunction> in_units();

 private:
  class InUnits;
  // Without units the steps are all the same.
  void prox_by_steps(std::span<const double> v, double step, std::span<const double> units,
                     std::span<double> to);

  Executor& executor_;
  std::vector<double> units_;
  std::vector<bool> has_steps_;      // whether a parameter's elements have steps of their own
  std::unique_ptr<Program> values_;  // the loss with the penalty and without
  std::unique_ptr<Program> prox_;
  Store store_;
  std::vector<std::string> names_;
  std::vector<Extents> extents_;
};

}  // namespace lariat::convex
