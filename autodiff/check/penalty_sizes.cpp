#include <fmt/format.h>

#include <tuple>

#include "autodiff/check/penalty_use.hpp"

namespace lariat::penalty_check_detail {

// At a step of 0, as a schedule that warms up begins with and a weight that is held has, the point stays.
std::string check_step_of_none(const Use& use) {
  std::vector<Point> steps{{0}};
  if (!use.penalty.scalar_metric && use.elements > 1) {
    steps.emplace_back();
    for (size_t i = 0; i < use.elements; ++i) steps.back().push_back(i % 2 == 0 ? 0 : 0.5);
  }
  for (const Point& step : steps)
    for (size_t p : {0, 1, 3, 5}) {
      const Point &v = use.points()[p], at = use.prox(v, step, {0.3});
      for (size_t i = 0; i < at.size(); ++i)
        if (of_element(step, i) == 0 && at[i] != v[i])
          return fmt::format(
              "for the point {}, step {} and weight [0.3] it gives {}; where the step is 0 the point stays",
              point_text(v), point_text(step), point_text(at));
    }
  return {};
}

// A penalty of single elements takes as many as a tensor has, each as it does alone: a loop over vectors has
// an end of its own.
std::string check_many(const Use& use) {
  if (!use.is_separable) return {};
  for (const int64_t count : {37, 1000}) {
    Point v, gradient, alone, left;
    for (int64_t i = 0; i < count; ++i) {
      const size_t k = static_cast<size_t>(i) % use.elements,
                   p = static_cast<size_t>(i) / use.elements % points_away_from_kinks;
      v.push_back(use.points()[p][k]);
      gradient.push_back(2 * uniform_number(17, p, k) - 1);
      Point own(use.elements);
      for (size_t j = 0; j < use.elements; ++j) own[j] = 2 * uniform_number(17, p, j) - 1;
      alone.push_back(use.prox(use.points()[p], {0.5}, {0.3})[k]);
      left.push_back(use.residual(use.points()[p], own, {0.3})[k]);
    }
    const Point at = use.prox(v, {0.5}, {0.3}), rest = use.residual(v, gradient, {0.3});
    const auto differs = [](double a, double b) { return !(std::abs(a - b) <= 1e-9 * (1 + std::abs(b))); };
    for (size_t i = 0; i < v.size(); ++i)
      for (const auto& [what, own, other] :
           {std::tuple("prox", at[i], alone[i]), std::tuple("residual", rest[i], left[i])})
        if (differs(own, other))
          return fmt::format(
              "of {} elements the {} of element {}, {:.6g}, is {:.6g}, and {:.6g} in the sample", count, what,
              i, v[i], own, other);
  }
  return {};
}

}  // namespace lariat::penalty_check_detail
