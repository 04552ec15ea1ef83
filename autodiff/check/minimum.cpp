#include "autodiff/check/minimum.hpp"

#include <algorithm>
#include <cmath>

namespace lariat {

double dot(const Point& a, const Point& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

namespace {

// The direction that is cut off at x; all zero ends the search.
Minimum bisect(const Objective& function, double centre, double radius, double gap, int most) {
  Minimum best{{centre}, function({centre}, nullptr)};
  double low = centre - radius, high = centre + radius;
  for (int k = 0; k < most && high - low > 0; ++k) {
    const Point x{low + (high - low) / 2};
    Point slope(1);
    const double value = function(x, &slope);
    if (value < best.value) best = {x, value};
    if (!std::isfinite(slope[0]) || slope[0] == 0) break;
    (slope[0] > 0 ? high : low) = x[0];
    if (std::isfinite(value) && std::abs(slope[0]) * (high - low) < gap) break;
  }
  return best;
}

}  // namespace

Minimum ellipsoid_minimum(const Objective& function, const Point& centre, double radius, double gap,
                          int most) {
  const size_t n = centre.size();
  if (n == 1) return bisect(function, centre[0], radius, gap, most);
  Minimum best{centre, function(centre, nullptr)};
  Point x = centre;
  // x + {y : yᵀ·shape⁻¹·y ≤ 1}
  std::vector<double> shape(n * n);
  for (size_t i = 0; i < n; ++i) shape[i * n + i] = radius * radius;
  const auto size = static_cast<double>(n);
  for (int k = 0; k < most; ++k) {
    Point slope(n);
    const double value = function(x, &slope);
    if (value < best.value) best = {x, value};
    Point through(n);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) through[i] += shape[i * n + j] * slope[j];
    const double width = std::sqrt(dot(slope, through));
    if (!(width > 0) || !std::isfinite(width)) break;
    const double depth = std::isfinite(value) ? (value - best.value) / width : 0;
    if (depth >= 1 || (std::isfinite(value) && width < gap)) break;
    const double shift = (1 + size * depth) / (size + 1), narrower = 2 * shift / (1 + depth);
    const double growth = size * size / (size * size - 1) * (1 - depth * depth);
    for (size_t i = 0; i < n; ++i) through[i] /= width;
    for (size_t i = 0; i < n; ++i) {
      x[i] -= shift * through[i];
      for (size_t j = 0; j < n; ++j)
        shape[i * n + j] = growth * (shape[i * n + j] - narrower * through[i] * through[j]);
    }
  }
  return best;
}

Minimum pattern_minimum(const Objective& function, const Point& start, double step,
                        const std::vector<Point>& directions) {
  Minimum best{start, function(start, nullptr)};
  const auto go = [&](const Point& direction, double length) {
    Point x = best.at;
    for (size_t i = 0; i < x.size(); ++i) x[i] += length * direction[i];
    const double value = function(x, nullptr);
    if (!(value < best.value)) return false;
    best = {std::move(x), value};
    return true;
  };
  for (int halvings = 0; halvings < 40; ++halvings, step /= 2) {
    bool moved = false;
    for (size_t i = 0; i < start.size(); ++i) {
      Point unit(start.size());
      unit[i] = 1;
      moved |= go(unit, step) || go(unit, -step);
    }
    for (const Point& direction : directions) moved |= go(direction, step) || go(direction, -step);
    if (moved && halvings < 20) step *= 2;
  }
  return best;
}

double line_minimum(const std::function<double(double)>& function, double low, double high,
                    const std::vector<double>& special) {
  constexpr int cells = 400;
  double at = low, least = function(low);
  const auto consider = [&](double x) {
    const double value = function(x);
    if (value < least) {
      least = value;
      at = x;
    }
  };
  const double width = (high - low) / cells;
  for (int k = 1; k <= cells; ++k) consider(low + width * k);
  for (const double x : special) consider(x);
  for (double step = width / 2; step > 1e-9 * (1 + std::abs(at)); step /= 2) {
    const double centre = at;
    consider(centre - step);
    consider(centre + step);
  }
  return least;
}

}  // namespace lariat
