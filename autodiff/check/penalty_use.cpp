#include "autodiff/check/penalty_use.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace lariat::penalty_check_detail {

double norm(const Point& a) { return std::sqrt(dot(a, a)); }
Point moved(Point x, double length, const Point& direction) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += length * direction[i];
  return x;
}
bool is_finite(const Point& x) {
  return std::all_of(x.begin(), x.end(), [](double v) { return std::isfinite(v); });
}
// One number for all elements, or one for each.
double of_element(const Point& numbers, size_t index) { return numbers[numbers.size() == 1 ? 0 : index]; }
double largest(const Point& x) {
  double result = 0;
  for (const double v : x) result = std::max(result, std::abs(v));
  return result;
}

std::string point_text(const Point& x) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < x.size() && i < 8; ++i) parts.push_back(fmt::format("{:.6g}", x[i]));
  if (x.size() > 8) parts.push_back("…");
  return fmt::format("[{}]", fmt::join(parts, ", "));
}

Tensor tensor_of(const Point& x, Extents extents) {
  return Tensor::of<double>(std::move(extents), std::span<const double>(x));
}
Point point_of(const Tensor& tensor) {
  Point x;
  for (int64_t i = 0; i < tensor.count(); ++i) x.push_back(tensor.at(i));
  return x;
}

std::vector<Point> directions_of(const Use& use) {
  std::vector<Point> directions = use.points();
  const size_t n = use.elements;
  for (size_t i = 0; i + 1 < n && i < 12; ++i)
    for (const double sign : {1.0, -1.0}) {
      Point pair(n);
      pair[i] = 1;
      pair[i + 1] = sign;
      directions.push_back(pair);
    }
  for (uint64_t k = 0; k < 2 * n; ++k) {
    Point drawn(n);
    for (size_t i = 0; i < n; ++i) drawn[i] = 2 * uniform_number(7, k, i) - 1;
    directions.push_back(drawn);
  }
  for (Point& direction : directions)
    if (const double size = norm(direction); size > 0)
      for (double& v : direction) v /= size;
  return directions;
}

std::vector<Point> steps_of(const Use& use) {
  std::vector<Point> steps{{0.5}, {20}, {0.02}};
  if (use.penalty.scalar_metric || use.elements == 1) return steps;
  steps.emplace_back();
  for (size_t i = 0; i < use.elements; ++i) steps.back().push_back(0.1 + 2 * uniform_number(5, 1, i));
  return steps;
}

std::vector<Point> weights_of(const Use& use) {
  std::vector<Point> weights{{0.3}, {2}, {0}};
  if (use.results == 1) return weights;
  weights.emplace_back();
  for (size_t i = 0; i < use.results; ++i) weights.back().push_back(uniform_number(5, 2, i));
  return weights;
}

}  // namespace lariat::penalty_check_detail
