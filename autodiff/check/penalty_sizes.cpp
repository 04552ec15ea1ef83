#include <fmt/format.h>

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

std::string check_many(const Use& use, const OfElements& of_elements) {
  if (!use.is_separable) return {};
  std::vector<Point> gradients, alone;
  for (size_t p = 0; p < points_away_from_kinks; ++p) {
    gradients.emplace_back();
    for (size_t k = 0; k < use.elements; ++k) gradients[p].push_back(2 * uniform_number(17, p, k) - 1);
    alone.push_back(of_elements(use.points()[p], gradients[p]));
  }
  for (const size_t count : {37, 1000}) {
    Point x, gradient, expected;
    for (size_t i = 0; i < count; ++i) {
      const size_t k = i % use.elements, p = i / use.elements % points_away_from_kinks;
      x.push_back(use.points()[p][k]);
      gradient.push_back(gradients[p][k]);
      expected.push_back(alone[p][k]);
    }
    const Point result = of_elements(x, gradient);
    for (size_t i = 0; i < count; ++i)
      if (!(std::abs(result[i] - expected[i]) <= 1e-9 * (1 + std::abs(expected[i]))))
        return fmt::format(
            "of {} elements, element {}, {:.6g}, gives {:.6g}, and {:.6g} among the sample's {}", count, i,
            x[i], result[i], expected[i], use.elements);
  }
  return {};
}

}  // namespace lariat::penalty_check_detail
