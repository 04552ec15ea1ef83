#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "autodiff/convex/method.hpp"
#include "graph/io/store.hpp"

namespace lariat {

enum class SolveMethod {
  automatic,          ///< newton for a linear model, else fista
  newton,             ///< proximal Newton steps with coordinate descent
  fista,              ///< accelerated proximal gradient
  proximal_gradient,  ///< the same without acceleration
};
std::string_view name_of(SolveMethod method);

struct Solution {
  SolveMethod method = SolveMethod::newton;
  /// Why the method is not newton, where it was chosen automatically.
  std::string note;
  /// The loss as written at the solution, in double; what is left without the penalties; the penalties.
  double objective = 0, smooth = 0, penalty = 0;
  /// P − D, and relative to |P|: the objective exceeds the optimum by at most this. Infinite where not known.
  double gap = std::numeric_limits<double>::infinity(), relative_gap = gap;
  /// max_j of the distance of −∂f/∂w_j to ∂h_j(w_j), and of |w_j − prox_h(w_j − ∂f/∂w_j)|. With penalties
  /// that are not of single weights, the distance of −∇f to ∂h as the Trainer's certificate has it, before
  /// weights are rounded to their dtypes.
  double stationarity = 0, prox_residual = 0;
  /// With penalties that are not of single weights, the largest |∂f/∂w_j| that was seen.
  double slopes = 0;
  /// False where a penalty's record has no subdifferential: the stationarity is the prox residual then, which
  /// rests on the prox that made the steps.
  bool independent = true;
  int64_t nonzeros = 0, coordinates = 0, iterations = 0;
  /// Whether the tolerance is met, by the values in the store.
  bool converged = false;
  convex::Ending ending = convex::Ending::iterations;
  /// Why it is not converged, and what to do about it; empty where it is.
  std::string shortfall;
  /// The values of all parameters, in their own dtypes.
  Store store;

  /// "optimal to a relative duality gap of 2.1e-11", or "stationary to 3e-9, not globally certified: …".
  std::string certificate() const;
  /// Why there is no duality gap.
  std::string not_certified;

  /// Why `tolerance` is not met, and what may help. `rounded`: parameters of f32 were; `far` columns have
  /// means that nothing takes up; `as_written`: coordinates were neither centred nor scaled; `free`: how
  /// many have no penalty.
  std::string why_short(double tolerance, bool rounded, size_t far, bool as_written, int64_t free) const;
  static constexpr const char* no_dual_point = "no dual point was found";
};

}  // namespace lariat
