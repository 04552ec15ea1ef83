#pragma once

#include <string>
#include <vector>

#include "benchmarks/comparison.hpp"

namespace lariat::benchmarks {

/// The line through lariat's medians of cases that differ in one amount, by least squares:
/// milliseconds = intercept + slope·amount.
struct Fit {
  std::string name;    ///< what the cases' names have in common
  std::string amount;  ///< in which they differ
  int threads = 1;
  struct Point {
    double amount, milliseconds;
  };
  std::vector<Point> points;
  double intercept = 0, slope = 0;
  /// 1 - Σ(y - line)² / Σ(y - mean)²
  double r_squared = 0;
};

/// For each series of at least three cases and each number of threads.
std::vector<Fit> fits(const std::vector<Comparison>& comparisons);

}  // namespace lariat::benchmarks
