#pragma once

#include <string>
#include <vector>

namespace lariat::benchmarks {

/// The median of ratios of pairs that were measured one right after the other, and an interval that holds the
/// true one in 95 of 100 cases whatever the ratios' distribution is: two order statistics by the sign test
/// (Conover, Practical Nonparametric Statistics, 1999, 3.2). Fewer than six ratios give their range.
struct Spread {
  double middle, low, high;
  /// Whether the ratio is not 1 by more than chance.
  bool differs() const { return low > 1 || high < 1; }
  /// "1.42x (1.38-1.47)".
  std::string text() const;
};

/// Not a number where there are no ratios.
Spread spread_of(std::vector<double> ratios);

}  // namespace lariat::benchmarks
