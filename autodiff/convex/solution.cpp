#include "autodiff/convex/solution.hpp"

#include <fmt/format.h>

#include <cmath>

namespace lariat {

std::string_view name_of(SolveMethod method) {
  switch (method) {
    case SolveMethod::automatic:
      return "auto";
    case SolveMethod::newton:
      return "newton";
    case SolveMethod::fista:
      return "fista";
    default:
      return "proximal-gradient";
  }
}

std::string Solution::certificate() const {
  if (std::isfinite(relative_gap))
    return fmt::format("optimal to a relative duality gap of {:.1e}", relative_gap);
  if (!independent)
    return fmt::format(
        "prox residual {:.1e}, which rests on the prox that made the steps: no independent measure is known; "
        "not globally certified: {}",
        stationarity, not_certified);
  // Of columns of large numbers what is small beside the slopes may be no small number.
  constexpr double small = 1e-3;
  const std::string beside =
      stationarity > small && slopes > 0 ? fmt::format(" beside slopes of {:.1e}", slopes) : "";
  return fmt::format("stationary to {:.1e}{}, not globally certified: {}", stationarity, beside,
                     not_certified);
}

std::string Solution::why_short(double tolerance, bool rounded, size_t far, bool as_written,
                                int64_t free) const {
  constexpr double bottomless = -1e100;
  if (objective < bottomless || !std::isfinite(objective))
    return fmt::format(
        "the objective is {:.1e} after {} iterations: the loss falls for ever where no penalty "
        "holds it, so that no solution is best; add a penalty, or raise its coefficient",
        objective, iterations);
  const std::string reached = std::isfinite(relative_gap)
                                  ? fmt::format("a relative gap of {:.1e}", relative_gap)
                                  : fmt::format("a stationarity of {:.1e}", stationarity);
  if (ending != convex::Ending::vanishing && not_certified == no_dual_point && stationarity <= tolerance)
    return fmt::format(
        "it is stationary to {:.1e} after {} iterations, but {}: {}", stationarity, iterations, not_certified,
        free > 0 ? "where weights that are not penalised can move the predictions of some rows "
                   "for ever, there is no best solution; penalise every column, or leave out "
                   "such rows"
                 : "the penalty is so small beside the loss that rounding hides where the best "
                   "solution is; take a larger coefficient");
  const std::string missed = fmt::format("{} was reached where {:.1e} was asked for", reached, tolerance);
  if (far > 1 && ending != convex::Ending::vanishing)
    return fmt::format(
        "{} in {} iterations: the means of {} columns are over 100000 times their standard deviations, so "
        "that they differ from multiples of each other in their last digits alone; subtract the means, or "
        "add "
        "a bias, which takes them up",
        missed, iterations, far);
  switch (ending) {
    case convex::Ending::vanishing:
      return fmt::format(
          "the loss falls to {:.1e}, which is 0 beside what it was at zero, for the weights fit every row: "
          "there is no best solution, or none that a relative gap of {:.1e} tells from others; {}",
          smooth, tolerance,
          free > 0 && free < coordinates
              ? "weights without a penalty, such as a bias, do so alone: penalise them or "
                "leave them out, and look whether all targets are alike"
              : "add a penalty, or raise its coefficient");
    case convex::Ending::stagnation:
      if (rounded)
        return fmt::format("{}: parameters of f32 hold the solution no better; make them f64", missed);
      return fmt::format(
          "{}: in double no step lowers the objective any further after {} iterations, so more will not "
          "help; take a larger tolerance, a larger penalty, or leave out columns that nearly repeat others",
          missed, iterations);
    default:
      return fmt::format("{}: the {} iterations allowed were used up; allow more, or a larger tolerance{}",
                         missed, iterations,
                         as_written ? ", or bring columns to means near 0 and like scales, without which "
                                      "gradient steps are many"
                                    : "");
  }
}

}  // namespace lariat
