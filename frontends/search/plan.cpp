#include "frontends/search/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "graph/base/error.hpp"

namespace lariat::search {

namespace {

using Values = std::vector<std::string>;

constexpr size_t most_trials = 10000;

std::vector<Values> grid_of(const std::vector<Range>& ranges, std::optional<size_t> fastest) {
  std::vector<size_t> order;
  for (size_t i = 0; i < ranges.size(); ++i)
    if (i != fastest) order.push_back(i);
  if (fastest) order.push_back(*fastest);
  std::vector<Values> trials{Values(ranges.size())};
  for (const size_t range : order) {
    Values values = ranges[range].grid();
    // Upwards in λ: a network whose weights are all zero learns nothing from there (Lemhadri et al. 2021).
    if (range == fastest)
      std::stable_sort(values.begin(), values.end(), [](const std::string& a, const std::string& b) {
        return std::stod(a) < std::stod(b);
      });
    std::vector<Values> longer;
    for (const Values& trial : trials)
      for (const std::string& value : values) {
        longer.push_back(trial);
        longer.back()[range] = value;
      }
    if (longer.size() > most_trials)
      throw UserError(fmt::format("the grid has more than {} trials; take fewer values, or method = random",
                                  most_trials));
    trials = std::move(longer);
  }
  return trials;
}

std::vector<Values> random_trials(const std::vector<Range>& ranges, int64_t count, uint64_t seed) {
  std::vector<Values> trials;
  std::set<Values> known;
  // Where few combinations are possible, all will have been drawn.
  for (uint32_t draw = 0; static_cast<int64_t>(trials.size()) < count && draw < 100 * count; ++draw) {
    Values values;
    for (size_t i = 0; i < ranges.size(); ++i) {
      data::RandomStream random(seed, data::RandomPurpose::search, draw, static_cast<uint32_t>(i));
      values.push_back(ranges[i].draw(random));
    }
    if (known.insert(values).second) trials.push_back(values);
  }
  return trials;
}

// Jamieson and Talwalkar (2016): the last rung trains for all epochs, each one before it for a share.
std::vector<SearchPlan::Rung> rungs_of(size_t trials, int64_t epochs, int64_t factor) {
  int64_t count = 1;
  for (size_t left = trials; left > 1 && std::pow(factor, count) <= double(epochs); ++count)
    left = (left + static_cast<size_t>(factor) - 1) / static_cast<size_t>(factor);
  std::vector<SearchPlan::Rung> rungs;
  for (int64_t rung = 0; rung < count; ++rung) {
    const double share = std::pow(static_cast<double>(factor), static_cast<double>(rung + 1 - count));
    rungs.push_back({trials, std::max<int64_t>(1, std::llround(share * static_cast<double>(epochs)))});
    trials = (trials + static_cast<size_t>(factor) - 1) / static_cast<size_t>(factor);
  }
  return rungs;
}

}  // namespace

SearchPlan plan_of(const std::vector<Range>& ranges, const SearchTable& table, int64_t epochs,
                   uint64_t seed) {
  SearchPlan plan;
  std::optional<size_t> along;
  if (table.warm_start) {
    if (table.method != SearchMethod::grid)
      throw UserError(
          "warm_start = true: goes along the penalty of a grid; set method = grid, or leave it out");
    for (size_t i = 0; i < ranges.size() && !along; ++i)
      if (!ranges[i].term.empty()) along = i;
    if (!along)
      throw UserError(
          "warm_start = true: needs the coefficient of a penalty to go along, such as "
          "layers.*.kernel_penalty=l1=1e-5..1e-2:log");
  }
  if (table.method == SearchMethod::grid && table.trials > 0)
    throw UserError(fmt::format(
        "trials = {}: has no effect with method = grid, which tries every combination; set method = random",
        table.trials));
  if (table.method != SearchMethod::halving && table.factor != SearchTable{}.factor)
    throw UserError(fmt::format(
        "factor = {}: has no effect without method = halving, of which it is the share that goes on; "
        "leave it out",
        table.factor));
  if (table.method == SearchMethod::random) {
    plan.trials = random_trials(ranges, table.trials == 0 ? 20 : table.trials, seed);
  } else {
    plan.trials = table.trials > 0 ? random_trials(ranges, table.trials, seed) : grid_of(ranges, along);
  }
  if (along) plan.chain = ranges[*along].grid().size();
  plan.rungs = {{plan.trials.size(), 0}};
  if (table.method == SearchMethod::halving) plan.rungs = rungs_of(plan.trials.size(), epochs, table.factor);
  return plan;
}

}  // namespace lariat::search
