#pragma once

#include <string>
#include <vector>

namespace lariat::reports {

/// One axis of a picture: what lies where, and which values are written beside it.
struct Axis {
  double low = 0, high = 1;  ///< their logarithms to base 10 where it is logarithmic
  bool logarithmic = false;
  std::vector<double> ticks;

  /// From 0, at the low end, to 1.
  double place(double value) const;
};

/// Ends at multiples of 1, 2 or 5 times a power of ten, about `count` of them.
Axis linear_axis(double low, double high, int count);
/// low > 0.
Axis logarithmic_axis(double low, double high);
/// Whole numbers from 1.
Axis epoch_axis(size_t epochs);

/// A value beside an axis.
std::string tick_text(double value);

/// What the values beside a vertical axis take to its left, in a picture's units, with what the axis shows,
/// turned, before them.
double room_beside(const Axis& axis);
/// What the last value below a horizontal axis takes behind its end.
double room_behind(const Axis& axis);

}  // namespace lariat::reports
