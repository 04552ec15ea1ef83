#include "frontends/data/numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "frontends/data/npy.hpp"
#include "frontends/data/option_table.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

std::vector<double> read_numbers(const std::string& file) {
  const std::string bytes = read_whole_file(file);
  std::vector<double> numbers;
  if (is_numpy(bytes)) {
    const Tensor tensor = parse_npy(bytes, file);
    for (int64_t i = 0; i < tensor.count(); ++i) {
      if (!std::isfinite(tensor.at(i)))
        throw UserError(fmt::format("{}: element {} is {}; it must be finite", file, i, tensor.at(i)));
      numbers.push_back(tensor.at(i));
    }
    return numbers;
  }
  std::string_view rest = bytes;
  for (int64_t line = 1; !rest.empty(); ++line) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (!word.empty() && (word.back() == '\r' || word.back() == ' ' || word.back() == '\t'))
      word.remove_suffix(1);
    while (!word.empty() && (word.front() == ' ' || word.front() == '\t')) word.remove_prefix(1);
    if (word.empty()) continue;
    double value = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || stop != word.data() + word.size() || !std::isfinite(value))
      throw UserError(fmt::format("{}: line {}: '{}' is no finite number; write one a line", file, line,
                                  shortened(word)));
    numbers.push_back(value);
  }
  return numbers;
}

void RunningMoments::add(double value, double weight) {
  const double off = value - mean_;
  weights_ += weight;
  mean_ += off * (weight / weights_);
  squares_ += weight * off * (value - mean_);
}

double RunningMoments::deviation() const { return weights_ > 0 ? std::sqrt(squares_ / weights_) : 0; }

void LostDigits::look(size_t column, double value) {
  if (column >= columns_.size()) columns_.resize(column + 1);
  Column& of = columns_[column];
  of.moments.add(value);
  of.largest = std::max(of.largest, std::abs(value));
  const double kept = static_cast<double>(static_cast<float>(value));
  of.rounded = of.rounded || kept != value;
  // What is beyond is no count: a double does not keep it either.
  constexpr double most_whole = 0x1p53;
  if (!of.lost && std::abs(kept - value) >= 0.5 && std::abs(value) <= most_whole) of.lost = value;
}

std::vector<std::string> LostDigits::notices(const std::vector<std::string>& names) const {
  // Of a float's 24 bits no more than 8 are left to tell numbers apart that lie closer together.
  constexpr double least_spread = 0x1p-16;
  std::vector<std::string> lines;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Column& of = columns_[i];
    const double mean = of.moments.mean(), deviation = of.moments.deviation();
    const std::string name = i < names.size() ? names[i] : fmt::format("{}", i);
    if (of.rounded && deviation > 0 && deviation < least_spread * of.largest)
      lines.push_back(fmt::format(
          "the target '{}' has a mean of {:.6g} and a standard deviation of {:.3g}: the digits of a "
          "float do not tell these apart; subtract {:.6g} from the column first",
          name, mean, deviation, mean));
    else if (of.lost)
      lines.push_back(
          fmt::format("the target '{}' is learned as floats, which do not keep all its numbers: {:.17g} is "
                      "{:.17g} there; where "
                      "that matters, subtract {:.0f} from the column, or write it in larger units",
                      name, *of.lost, static_cast<double>(static_cast<float>(*of.lost)), mean));
  }
  return lines;
}

}  // namespace lariat::data
