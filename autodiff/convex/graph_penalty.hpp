#pragma once

#include "autodiff/convex/fista.hpp"

namespace lariat::convex {

/// Any convex penalty that has a prox, one of a plugin among them, by the graph of that prox. It has no
/// conjugate here, so there is no duality gap, and coordinates stay as written.
class GraphPenalty final : public ProxFunction {
 public:
  /// `terms` are penalties in the graph of `loss`, which gets nodes for their prox, and `cut` their nodes.
  GraphPenalty(Value loss, const std::vector<PenaltyTerm>& terms, std::span<const Value> cut,
               const Coordinates& coordinates, Executor& executor);

  double factor = 1;

  double total(std::span<const double> w) override;
  void prox(std::span<const double> v, double step, std::span<double> to) override;
  /// By the prox: of the gradient mapping with that step.
  void distances(std::span<const double> w, std::span<const double> g, double step,
                 std::span<double> to) override;

 private:
  Executor& executor_;
  std::unique_ptr<Program> values_;  // the loss with the penalty and without
  std::unique_ptr<Program> prox_;
  Store store_;
  std::vector<std::string> names_;
  std::vector<Extents> extents_;
};

}  // namespace lariat::convex
