#include "benchmarks/spread.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lariat::benchmarks {

std::string Spread::text() const {
  return std::isnan(middle) ? "-" : fmt::format("{:.2f}x ({:.2f}-{:.2f})", middle, low, high);
}

Spread spread_of(std::vector<double> ratios) {
  if (ratios.empty()) return {NAN, NAN, NAN};
  std::sort(ratios.begin(), ratios.end());
  const size_t n = ratios.size();
  // Of n tosses of a coin, so many heads or fewer come in at most 2.5 of 100 cases.
  size_t rank = 0;
  double chance = std::pow(0.5, static_cast<double>(n)), below = chance;
  for (; below <= 0.025 && rank < n / 2; ++rank) {
    chance *= static_cast<double>(n - rank) / static_cast<double>(rank + 1);
    below += chance;
  }
  const size_t low = rank > 0 ? rank - 1 : 0;
  const double middle = n % 2 == 1 ? ratios[n / 2] : std::sqrt(ratios[n / 2 - 1] * ratios[n / 2]);
  return {middle, ratios[low], ratios[n - 1 - low]};
}

}  // namespace lariat::benchmarks
