#pragma once

#include <memory>
#include <optional>

#include "autodiff/certificate/certificate.hpp"
#include "autodiff/convex/separable_penalty.hpp"

namespace lariat::convex {

/// How far weights are from stationary by the subdifferentials of penalties, which know nothing of the prox
/// that made the steps to them.
class SubdifferentialCheck {
 public:
  /// `cut` are the nodes of the penalties in the graph of `loss`.
  SubdifferentialCheck(Value loss, std::span<const Value> cut, const Coordinates& coordinates);

  struct Measure {
    double distance = 0;  ///< of −∇f to ∂h
    /// The largest distance of a parameter relative to the norm of the slopes of its coordinates, and of all
    /// to the smallest slope of any.
    double relative = 0, relative_to_least = 0;
  };
  /// With all penalties multiplied by `factor`; nothing where a penalty's record has no subdifferential.
  std::optional<Measure> at(std::span<const double> w, double factor, std::span<const double> slopes,
                            Executor& executor);

 private:
  std::unique_ptr<Certifier> certifier_;  // of the loss with its penalties times a fed factor
  std::vector<std::string> names_;
  std::vector<Extents> extents_;
  std::vector<int64_t> starts_;
};

}  // namespace lariat::convex
