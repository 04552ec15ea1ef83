#include "frontends/cli/search_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "frontends/cli/command.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/summary.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/report/plot.hpp"
#include "frontends/search/choice.hpp"

namespace lariat::cli {

namespace {

using search::Range;
using search::SearchResult;
using search::Trial;
using search::TrialState;

constexpr size_t most_trials_shown = 40;
constexpr int curve_colors = 8;

std::string score_text(const Trial& trial) {
  if (trial.state == TrialState::failed) return "failed";
  return trial.standard_error > 0 ? fmt::format("{:.4g} ± {:.2g}", trial.score, trial.standard_error)
                                  : fmt::format("{:.4g}", trial.score);
}

std::string mark_of(const SearchResult& result, size_t place) {
  if (result.chosen == place) return result.best == place ? "best" : "chosen";
  if (result.best == place) return "best score";
  return result.trials[place].state == TrialState::pruned ? "dropped" : "";
}

std::vector<Strings> rows_of(const SearchResult& result, const std::vector<size_t>& places) {
  Strings heading{"trial"};
  for (const Range& range : result.ranges) heading.push_back(range.name());
  heading.insert(heading.end(), {result.score, "exact zeros", "epochs", "time", ""});
  std::vector<Strings> rows{heading};
  for (const size_t place : places) {
    const Trial& trial = result.trials[place];
    Strings row{fmt::format("{}", trial.number + 1)};
    row.insert(row.end(), trial.values.begin(), trial.values.end());
    const bool failed = trial.state == TrialState::failed;
    row.insert(row.end(), {score_text(trial), failed ? "" : percent(trial.zeros),
                           fmt::format("{}", trial.epochs), duration(trial.seconds), mark_of(result, place)});
    rows.push_back(row);
  }
  return rows;
}

std::vector<size_t> all_places(const SearchResult& result) {
  std::vector<size_t> places;
  for (size_t i = 0; i < result.trials.size(); ++i) places.push_back(i);
  return places;
}

std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

// The range that the pictures have across: the first coefficient of a penalty, or the first of numbers.
std::optional<size_t> range_across(const SearchResult& result) {
  std::optional<size_t> found;
  for (size_t i = 0; i < result.ranges.size(); ++i) {
    if (!result.ranges[i].term.empty()) return i;
    const bool numbers = std::all_of(result.trials.begin(), result.trials.end(), [&](const Trial& trial) {
      return number_of(trial.values[i]).has_value();
    });
    if (numbers && !found) found = i;
  }
  return found;
}

// What else than the range across a trial has, as the name of its curve.
std::string others_of(const SearchResult& result, const Trial& trial, std::optional<size_t> across) {
  std::string text;
  for (size_t i = 0; i < result.ranges.size(); ++i)
    if (i != across)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", result.ranges[i].name(), trial.values[i]);
  return text;
}

struct Picture {
  Plot score, zeros;
};

Picture pictures_of(const SearchResult& result) {
  const std::optional<size_t> across = range_across(result);
  Picture picture;
  picture.score = {.label = result.score + " by trial", .up = result.score, .from_zero = false};
  picture.zeros = {.label = "Exact zeros by trial", .up = "exact zeros, %", .minimum = 0, .maximum = 100};
  const std::string name = across ? result.ranges[*across].name() : "trial";
  bool positive = across.has_value();
  double low = 1e300, high = 0;
  std::map<std::string, std::vector<size_t>> groups;
  for (size_t place = 0; place < result.trials.size(); ++place) {
    const Trial& trial = result.trials[place];
    if (trial.state == TrialState::failed) continue;
    groups[others_of(result, trial, across)].push_back(place);
    const double x = across ? *number_of(trial.values[*across]) : static_cast<double>(trial.number + 1);
    positive = positive && x > 0;
    low = std::min(low, x);
    high = std::max(high, x);
  }
  // One trial of each makes no curves.
  const bool apart =
      groups.size() > 1 && groups.size() <= curve_colors && result.trials.size() > groups.size();
  if (!apart) {
    std::vector<size_t> all;
    for (const auto& [key, places] : groups) all.insert(all.end(), places.begin(), places.end());
    const bool single = groups.size() == 1;
    groups = {{"", all}};
    if (!single) picture.score.label += ", all others mixed";
  }
  const bool line = apart || result.ranges.size() == 1;
  int color = 0;
  for (auto& [group, places] : groups) {
    Curve score{.name = group, .color = color % curve_colors + 1, .line = line, .dots = true};
    const auto x_of = [&](size_t place) {
      const Trial& trial = result.trials[place];
      return across ? *number_of(trial.values[*across]) : static_cast<double>(trial.number + 1);
    };
    std::stable_sort(places.begin(), places.end(), [&](size_t a, size_t b) { return x_of(a) < x_of(b); });
    Curve zeros = score;
    for (const size_t place : places) {
      const Trial& trial = result.trials[place];
      score.x.push_back(x_of(place));
      score.y.push_back(trial.score);
      score.errors.push_back(trial.standard_error);
      zeros.x.push_back(x_of(place));
      zeros.y.push_back(100 * trial.zeros);
      score.titles.push_back(fmt::format("trial {}, {}: {} {}, exact zeros {}", trial.number + 1,
                                         others_of(result, trial, std::nullopt), result.score,
                                         score_text(trial), percent(trial.zeros)));
    }
    zeros.titles = score.titles;
    picture.score.curves.push_back(std::move(score));
    picture.zeros.curves.push_back(std::move(zeros));
    ++color;
  }
  for (Plot* plot : {&picture.score, &picture.zeros}) {
    plot->across = name;
    plot->logarithmic_across = positive && high > 5 * low;
  }
  return picture;
}

// What each fewer weight costs.
std::string trade_chart(const SearchResult& result) {
  Plot plot{.label = result.score + " against exact zeros", .across = "exact zeros, %", .up = result.score};
  plot.from_zero = false;
  Curve all{.color = 1, .line = false, .dots = true},
      chosen{.name = "chosen", .color = 6, .line = false, .dots = true};
  for (size_t place = 0; place < result.trials.size(); ++place) {
    const Trial& trial = result.trials[place];
    if (trial.state == TrialState::failed) continue;
    Curve& curve = result.chosen == place ? chosen : all;
    curve.x.push_back(100 * trial.zeros);
    curve.y.push_back(trial.score);
    curve.titles.push_back(
        fmt::format("trial {}, {}", trial.number + 1, others_of(result, trial, std::nullopt)));
  }
  plot.curves = {all, chosen};
  return plot_chart(plot);
}

}  // namespace

std::string trial_line(const Trial& trial, const std::vector<Range>& ranges, int64_t planned,
                       const std::string& score) {
  std::string text =
      fmt::format("trial {:>{}}/{}", trial.number + 1, fmt::formatted_size("{}", planned), planned);
  for (size_t i = 0; i < ranges.size(); ++i)
    text += fmt::format("  {} {}", ranges[i].name(), trial.values[i]);
  if (trial.state == TrialState::failed) return fmt::format("{}: {}", text, trial.failure);
  return fmt::format(
      "{}: {} {}, exact zeros {}, {}{}", text, score, score_text(trial), percent(trial.zeros),
      duration(trial.seconds),
      trial.state == TrialState::pruned ? fmt::format(", dropped after {} epochs", trial.epochs) : "");
}

std::string search_table(const SearchResult& result) {
  std::vector<size_t> places = all_places(result);
  std::string more;
  if (places.size() > most_trials_shown) {
    places = search::ranked(result.trials, result.larger_is_better);
    std::stable_partition(places.begin(), places.end(),
                          [&](size_t place) { return result.trials[place].state == TrialState::complete; });
    more = fmt::format("and {} trials that are not as good\n", places.size() - most_trials_shown);
    places.resize(most_trials_shown);
  }
  return columns(rows_of(result, places), 0) + more;
}

Json search_json(const SearchResult& result) {
  const auto json_of = [&](const Trial& trial) {
    static const char* const states[] = {"running", "complete", "dropped", "failed"};
    Json values = Json::object();
    for (size_t i = 0; i < result.ranges.size(); ++i) {
      const auto number = number_of(trial.values[i]);
      values[result.ranges[i].name()] = number ? parse_json(trial.values[i]) : Json(trial.values[i]);
    }
    const bool scored = trial.state != TrialState::failed && !trial.fold_scores.empty();
    return Json{{"trial", trial.number + 1},
                {"values", values},
                {"state", states[static_cast<int>(trial.state)]},
                {"score", scored ? finite_or_null(trial.score) : Json()},
                {"standard_error", scored ? finite_or_null(trial.standard_error) : Json()},
                {"zero_fraction", scored ? Json(trial.zeros) : Json()},
                {"folds", trial.fold_scores},
                {"epochs", trial.epochs},
                {"seconds", trial.seconds},
                {"failure", trial.failure}};
  };
  Json trials = Json::array();
  for (const Trial& trial : result.trials) trials.push_back(json_of(trial));
  return {{"score", result.score},
          {"larger_is_better", result.larger_is_better},
          {"folds", result.folds},
          {"seed", result.seed},
          {"stopped", result.stopped},
          {"seconds", result.seconds},
          {"best", result.best ? json_of(result.trials[*result.best]) : Json()},
          {"chosen", result.chosen ? json_of(result.trials[*result.chosen]) : Json()},
          {"trials", trials}};
}

ReportData search_report(const SearchResult& result, const RunResult& winner,
                         const std::string& recipe_text) {
  ReportData data;
  const Trial &best = result.trials[*result.best], &taken = result.winner();
  data.figures = {{fmt::format("best {}", result.score), score_text(best),
                   result.folds > 0 ? fmt::format("mean of {} folds and its standard error", result.folds)
                                    : "on the validation data"}};
  if (result.best != result.chosen)
    data.figures.push_back(
        {"chosen", score_text(taken), "the most zeros within a standard error of the best"});
  data.figures.push_back({"exact zeros", percent(taken.zeros), "of the one chosen, mean of folds"});
  if (winner.test)
    for (const auto& row : measures(*winner.test))
      data.figures.push_back({"test " + row[0], row[1],
                              fmt::format("of the winner, on {} examples", grouped(winner.test->examples))});
  data.figures.push_back({"trials", fmt::format("{}", result.trials.size()), duration(result.seconds)});
  const Picture picture = pictures_of(result);
  const std::string from = result.folds > 0 ? "Bars are a standard error on each side." : "";
  data.pictures = {
      {fmt::format("{} against {}", result.score, picture.score.across), plot_chart(picture.score), from},
      {fmt::format("Exact zeros against {}", picture.zeros.across), plot_chart(picture.zeros),
       "The share of the weights with a penalty that makes zeros, or of all where there is none."},
      {fmt::format("{} against exact zeros", result.score), trade_chart(result),
       "Each point is a trial; the chosen one has a colour of its own."}};
  data.tables = {{"Trials", rows_of(result, all_places(result))}};
  data.recipe = recipe_text;
  data.notices = winner.notices;
  return data;
}

}  // namespace lariat::cli
