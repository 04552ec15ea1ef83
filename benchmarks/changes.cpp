#include "benchmarks/changes.hpp"

#include <fmt/format.h>

#include <fstream>
#include <map>
#include <sstream>

#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::benchmarks {

namespace {

// How good a case was: more is better.
Spread standing_of(const Comparison& c, bool beside_others) {
  if (beside_others) return c.spread();
  std::vector<double> speeds;
  for (const double sample : c.best("lariat")->samples) speeds.push_back(1 / sample);
  return spread_of(std::move(speeds));
}

Spread standing_of(const Json& row, bool beside_others) {
  if (beside_others)
    return {row.at("ratio").get<double>(), row.at("ratio_low").get<double>(),
            row.at("ratio_high").get<double>()};
  std::vector<double> speeds;
  double best = 0;
  for (const Json& timing : row.at("timings")) {
    if (timing.at("side") != "lariat") continue;
    if (const auto ms = timing.at("ms").get<double>(); !speeds.empty() && ms >= best) continue;
    best = timing.at("ms").get<double>();
    speeds.clear();
    for (const Json& sample : timing.at("samples")) speeds.push_back(1 / sample.get<double>());
  }
  return spread_of(std::move(speeds));
}

Json read_results(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const Json json = Json::parse(text.str(), nullptr, false);
  if (!file || !json.is_object() || !json.contains("cases"))
    throw UserError(fmt::format("'{}' holds no figures of a run: --compare takes what --json wrote", path));
  return json;
}

}  // namespace

int print_changes(const Results& results, const std::string& path) {
  const Json old = read_results(path);
  std::map<std::string, Json> rows;
  for (const Json& row : old.at("cases")) rows[row.at("name").get<std::string>()] = row;
  fmt::print("\nsince {}; those without another side by their own speed\n", path);
  int slower = 0;
  try {
    for (const Comparison& c : results.comparisons) {
      const auto found = rows.find(c.what.name);
      if (found == rows.end()) continue;
      const Json& row = found->second;
      const Timing* other = c.best_other();
      const bool beside_others =
          other && row.at("ratio").is_number() && row.at("other").get<std::string>() == other->side;
      const Spread now = standing_of(c, beside_others), then = standing_of(row, beside_others);
      const bool is_slower = now.high<then.low, is_faster = now.low> then.high;
      slower += is_slower;
      fmt::print(
          "{:44} {:>7.3f}x  {}{}\n", c.what.name, now.middle / then.middle,
          is_slower   ? "slower"
          : is_faster ? "faster"
                      : "not separable",
          beside_others ? fmt::format(", beside {}: {} after {}", other->side, now.text(), then.text()) : "");
    }
  } catch (const Json::exception& error) {
    throw UserError(fmt::format("'{}' is not what --json writes: {}", path, error.what()));
  }
  fmt::print("{} cases became slower by more than their intervals explain\n", slower);
  return slower;
}

}  // namespace lariat::benchmarks
