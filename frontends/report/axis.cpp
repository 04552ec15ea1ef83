#include "frontends/report/axis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lariat::reports {

double Axis::place(double value) const {
  if (logarithmic) value = std::log10(std::max(value, 1e-300));
  return (value - low) / (high - low);
}

Axis linear_axis(double low, double high, int count) {
  if (!(high > low)) {
    // A single value lies in the middle of something.
    const double margin = low == 0 ? 1 : std::abs(low) / 10;
    high = low + margin;
    if (low != 0) low -= margin;
  }
  const double rough = (high - low) / count, power = std::pow(10, std::floor(std::log10(rough)));
  const double step = power * (rough / power > 5 ? 10 : rough / power > 2 ? 5 : rough / power > 1 ? 2 : 1);
  Axis axis{step * std::floor(low / step + 1e-9), step * std::ceil(high / step - 1e-9), false, {}};
  for (int i = 0; axis.low + i * step <= axis.high + step / 2; ++i) axis.ticks.push_back(axis.low + i * step);
  return axis;
}

Axis logarithmic_axis(double low, double high) {
  Axis axis{std::log10(low), std::log10(high), true, {}};
  const double margin = std::max(0.02, 0.04 * (axis.high - axis.low));
  axis.low -= margin;
  axis.high += margin;
  constexpr int most_ticks = 7;
  const bool wide = axis.high - axis.low > 2.5;
  const int every = 1 + static_cast<int>(axis.high - axis.low) / most_ticks;
  for (int decade = static_cast<int>(std::floor(axis.low)); decade <= axis.high; ++decade)
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (decade % every != 0) continue;
      const double tick = factor * std::pow(10.0, decade), at = std::log10(tick);
      if (at >= axis.low && at <= axis.high && (factor == 1 || !wide)) axis.ticks.push_back(tick);
    }
  // Values that are close to each other lie between these.
  if (axis.ticks.size() < 2) {
    axis.ticks = linear_axis(low, high, 4).ticks;
    std::erase_if(axis.ticks, [&](double tick) {
      return !(tick > 0 && std::log10(tick) >= axis.low && std::log10(tick) <= axis.high);
    });
  }
  return axis;
}

Axis epoch_axis(size_t epochs) {
  Axis axis = linear_axis(0, static_cast<double>(epochs), 6);
  std::erase_if(axis.ticks,
                [&](double tick) { return tick != std::floor(tick) || tick < 1 || tick > double(epochs); });
  if (axis.ticks.empty() || axis.ticks.front() > 1) axis.ticks.insert(axis.ticks.begin(), 1);
  axis.low = 1;
  axis.high = std::max(2.0, static_cast<double>(epochs));
  return axis;
}

std::string tick_text(double value) { return fmt::format("{:.4g}", std::abs(value) < 1e-12 ? 0 : value); }

namespace {

constexpr double tick_letter = 8.7;

}  // namespace

double room_beside(const Axis& axis) {
  constexpr double title = 22, gap = 7, least = 58;
  size_t longest = 0;
  for (const double tick : axis.ticks) longest = std::max(longest, tick_text(tick).size());
  return std::max(least, title + gap + tick_letter * static_cast<double>(longest));
}

double room_behind(const Axis& axis) {
  constexpr double least = 14;
  const size_t last = axis.ticks.empty() ? 0 : tick_text(axis.ticks.back()).size();
  return std::max(least, tick_letter * static_cast<double>(last) / 2);
}

}  // namespace lariat::reports
