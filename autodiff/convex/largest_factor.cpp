#include "autodiff/convex/largest_factor.hpp"

#include <algorithm>
#include <cmath>

namespace lariat::convex {

double largest_factor(GraphFunction& function, GraphPenalty& penalty, const Coordinates& coordinates,
                      const std::vector<PenaltyTerm>& terms) {
  const auto count = static_cast<size_t>(coordinates.count());
  constexpr double large = 1e30;
  penalty.factor = large;
  const Result zero = proximal_gradient(std::ref(function), penalty, std::vector<double>(count), true,
                                        {1e-8, 100000, {}}, {});
  std::vector<double> gradient(count), ahead(count), next(count);
  function(zero.weights, gradient);
  std::vector<size_t> penalised;
  for (size_t i = 0; i < coordinates.parameters.size(); ++i)
    for (const PenaltyTerm& term : terms)
      if (term.is_of(coordinates.parameters[i].name()))
        for (int64_t j = coordinates.starts[i]; j < coordinates.starts[i + 1]; ++j)
          penalised.push_back(static_cast<size_t>(j));
  const auto stays = [&](double factor) {
    penalty.factor = factor;
    for (size_t j = 0; j < ahead.size(); ++j) ahead[j] = zero.weights[j] - gradient[j];
    penalty.prox(ahead, 1, next);
    return std::all_of(penalised.begin(), penalised.end(), [&](size_t j) { return next[j] == 0; });
  };
  if (!std::all_of(penalised.begin(), penalised.end(), [&](size_t j) { return zero.weights[j] == 0; }) ||
      !stays(large))
    return std::numeric_limits<double>::quiet_NaN();
  double low = 1 / large, high = large;
  if (stays(low)) return 0;
  while (high / low > 1 + 1e-12) {
    const double middle = std::sqrt(low) * std::sqrt(high);
    if (middle <= low || middle >= high) break;
    (stays(middle) ? high : low) = middle;
  }
  return high;
}

double largest_factor(GraphFunction& function, SeparablePenalty& penalty, int64_t count) {
  penalty.factor = 1e30;
  SeparableProx prox(penalty);
  const Result zero =
      proximal_gradient(std::ref(function), prox, std::vector<double>(static_cast<size_t>(count)), true,
                        {1e-8, 100000, {}}, {});
  std::vector<double> gradient(static_cast<size_t>(count));
  function(zero.weights, gradient);
  penalty.factor = 1;
  double largest = std::numeric_limits<double>::quiet_NaN();
  for (size_t j = 0; j < gradient.size(); ++j) {
    if (!penalty.selects(static_cast<int64_t>(j))) continue;
    const Interval slopes = penalty.kink(static_cast<int64_t>(j));
    const double slope = -gradient[j],
                 needed = slope == 0 ? 0 : slope / (slope > 0 ? slopes.high : slopes.low);
    largest = std::isnan(largest) ? needed : std::max(largest, needed);
  }
  return largest;
}

}  // namespace lariat::convex
