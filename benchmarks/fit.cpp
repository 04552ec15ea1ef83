#include "benchmarks/fit.hpp"

#include <cmath>

namespace lariat::benchmarks {

namespace {

void fit_line(Fit& fit) {
  const auto count = static_cast<double>(fit.points.size());
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0, yy = 0, left = 0;
  for (const auto& [x, y] : fit.points) {
    mean_x += x / count;
    mean_y += y / count;
  }
  for (const auto& [x, y] : fit.points) {
    xx += (x - mean_x) * (x - mean_x);
    xy += (x - mean_x) * (y - mean_y);
    yy += (y - mean_y) * (y - mean_y);
  }
  fit.slope = xy / xx;
  fit.intercept = mean_y - fit.slope * mean_x;
  for (const auto& [x, y] : fit.points) left += std::pow(y - fit.intercept - fit.slope * x, 2);
  fit.r_squared = 1 - left / yy;
}

Fit& fit_of(std::vector<Fit>& all, const std::string& name, const std::string& amount, int threads) {
  for (Fit& fit : all)
    if (fit.name == name && fit.threads == threads) return fit;
  all.push_back({name, amount, threads, {}});
  return all.back();
}

}  // namespace

std::vector<Fit> fits(const std::vector<Comparison>& comparisons) {
  std::vector<Fit> all;
  for (const Comparison& c : comparisons) {
    if (c.what.amount.empty()) continue;
    const std::string name = c.what.name.substr(0, c.what.name.rfind('/'));
    for (const Timing& timing : c.timings)
      fit_of(all, name, c.what.amount, timing.threads)
          .points.push_back({c.what.how_much, timing.milliseconds});
  }
  std::erase_if(all, [](const Fit& fit) { return fit.points.size() < 3; });
  for (Fit& fit : all) fit_line(fit);
  return all;
}

}  // namespace lariat::benchmarks
