#include "frontends/data/lost_digits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lariat::data {

void LostDigits::look(size_t column, double value) {
  if (column >= columns_.size()) columns_.resize(column + 1);
  Column& of = columns_[column];
  // West (1979), since Σx² - (Σx)²/n cancels where the mean is large.
  const double off = value - of.mean;
  ++of.count;
  of.mean += off / of.count;
  of.squares += off * (value - of.mean);
  of.largest = std::max(of.largest, std::abs(value));
  of.rounded = of.rounded || static_cast<double>(static_cast<float>(value)) != value;
}

std::vector<std::string> LostDigits::notices(const std::vector<std::string>& names) const {
  // Of a float's 24 bits no more than 8 are left to tell numbers apart that lie closer together.
  constexpr double least_spread = 0x1p-16;
  std::vector<std::string> lines;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Column& of = columns_[i];
    const double deviation = std::sqrt(of.squares / of.count);
    if (!of.rounded || !(deviation > 0) || deviation >= least_spread * of.largest) continue;
    lines.push_back(fmt::format(
        "the target '{}' has a mean of {:.6g} and a standard deviation of {:.3g}: the digits of a "
        "float do not tell these apart; subtract {:.6g} from the column first",
        i < names.size() ? names[i] : fmt::format("{}", i), of.mean, deviation, of.mean));
  }
  return lines;
}

}  // namespace lariat::data
