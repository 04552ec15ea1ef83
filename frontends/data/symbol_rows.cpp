#include "frontends/data/arrays.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

constexpr double most_symbols = 65536;

}  // namespace

void add_symbols(Dataset& dataset, const Tensor& symbols, const std::string& name) {
  const Extents& of = symbols.extents();
  const auto rows = static_cast<int64_t>(dataset.examples.size());
  if (!dataset.sequences)
    throw UserError(
        fmt::format("{}: symbols are learned of sequences X [rows, time, columns], but X has no time", name));
  if (of.empty() || of.size() > 2 || of[0] != rows)
    throw UserError(fmt::format(
        "{}: y is {}, but there are {} rows; sequences of symbols are [rows, most symbols], padded with 0",
        name, text(of), rows));
  dataset.targets = {.width = 1};
  dataset.targets.symbols = true;
  const int64_t most = of.size() == 1 ? 1 : of[1];
  double largest = 0;
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<float>& targets = dataset.examples[static_cast<size_t>(row)].targets;
    for (int64_t i = 0; i < most; ++i) {
      const double symbol = symbols.at(row * most + i);
      if (!(symbol >= 0 && symbol <= most_symbols && symbol == std::floor(symbol)))
        throw UserError(
            fmt::format("{}: row {} of y holds {}; symbols are whole numbers from 1 to {:.0f}, padded with 0 "
                        "at the end",
                        name, row, symbol, most_symbols));
      if (symbol > 0 && static_cast<int64_t>(targets.size()) < i)
        throw UserError(
            fmt::format("{}: row {} of y holds the symbol {} behind a 0, the blank, which pads "
                        "sequences at their end; leave blanks between symbols out",
                        name, row, symbol));
      if (symbol > 0) targets.push_back(static_cast<float>(symbol));
      largest = std::max(largest, symbol);
    }
  }
  if (largest == 0)
    throw UserError(
        fmt::format("{}: y holds no symbol, only the 0 that pads sequences; symbols are whole "
                    "numbers from 1",
                    name));
  for (int symbol = 1; symbol <= static_cast<int>(largest); ++symbol)
    dataset.classes.push_back(fmt::format("{}", symbol));
}

}  // namespace lariat::data
