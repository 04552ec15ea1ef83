#pragma once

#include <functional>
#include <vector>

namespace lariat {

using Point = std::vector<double>;

/// The value at x, which may be infinite; where `slope` is given, a subgradient there, or where the value is
/// infinite a direction in which nothing finite lies ahead; all zero, or not finite, where none is known.
using Objective = std::function<double(const Point& x, Point* slope)>;

double dot(const Point& a, const Point& b);

struct Minimum {
  Point at;
  double value;
};

/// Convex functions: the ellipsoid method with deep cuts (Shor 1977; Bland, Goldfarb and Todd 1981) on the
/// ball of `radius` around `centre`, until the value is within `gap` of the least, or after `most` steps.
Minimum ellipsoid_minimum(const Objective& function, const Point& centre, double radius, double gap,
                          int most);

/// Any function, downwards from `start`: along each of `directions` and single elements, in ever smaller
/// steps.
Minimum pattern_minimum(const Objective& function, const Point& start, double step,
                        const std::vector<Point>& directions);

/// A function of one number on [low, high] that has its minima at `special` or where it is smooth: the best
/// of a grid, refined.
double line_minimum(const std::function<double(double)>& function, double low, double high,
                    const std::vector<double>& special);

}  // namespace lariat
