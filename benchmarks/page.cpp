#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "benchmarks/picture.hpp"
#include "benchmarks/results.hpp"
#include "frontends/report/chart.hpp"
#include "frontends/report/style.hpp"

namespace lariat::benchmarks {

namespace {

using reports::escaped;
using Row = BarChart::Row;

std::string card(const std::string& body) { return "<div class=\"card\">" + body + "</div>\n"; }

std::string section(const std::string& title, const std::string& words, const std::string& body) {
  return fmt::format("<section><h2>{}</h2><p class=\"soft\">{}</p>{}</section>\n", title, words, body);
}

std::string key(int series, const std::string& words) {
  return fmt::format("<i class=\"key series-{}\"></i> {}", series, words);
}

std::string short_number(double value) {
  return value >= 100 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

// A chart of the rows that `row` makes of the cases; a row without values is left out, and so are series of
// cases, which have pictures of their own.
std::string bars(const Results& results, BarChart chart, const std::function<Row(const Comparison&)>& row) {
  for (const Comparison& c : results.comparisons) {
    if (!c.what.amount.empty()) continue;
    Row made = row(c);
    made.name = c.what.name;
    const bool any =
        std::ranges::any_of(made.values, [](double value) { return std::isfinite(value) && value > 0; });
    if (any) chart.rows.push_back(std::move(made));
  }
  return chart.rows.empty() ? "" : card(bar_chart(chart));
}

std::string box(const std::string& label, const std::string& value, const std::string& comment) {
  return fmt::format("<div class=\"figure\"><span>{}</span><b>{}</b><span>{}</span></div>", label, value,
                     comment);
}

std::string headline(const Results& results) {
  int compared = 0, better = 0, checked = 0, same = 0;
  double logarithms = 0;
  for (const Comparison& c : results.comparisons) {
    if (std::isfinite(c.ratio()) && !is_program(c.what)) {
      ++compared;
      better += c.ratio() > 1;
      logarithms += std::log(c.ratio());
    }
    checked += c.same_bits.has_value();
    same += c.same_bits.value_or(false);
  }
  std::string boxes;
  if (compared > 0)
    boxes += box("lariat takes less time", fmt::format("{} of {}", better, compared), "models and data") +
             box("geometric mean", fmt::format("{:.2f}×", std::exp(logarithms / compared)),
                 "faster, over all of these");
  if (checked > 0)
    boxes += box("same bits", fmt::format("{} of {}", same, checked), "cases, on all numbers of threads");
  return "<div class=\"figures\">" + boxes + "</div>\n";
}

// The names of all rivals, in the order of the cases: a colour each.
std::vector<std::string> rival_names(const Results& results) {
  std::vector<std::string> names;
  for (const Comparison& c : results.comparisons)
    for (const Rival& rival : c.rivals())
      if (!is_program(c.what) && std::ranges::find(names, rival.name) == names.end())
        names.push_back(rival.name);
  return names;
}

std::string ratios(const Results& results) {
  const std::vector<std::string> names = rival_names(results);
  const std::string chart = bars(results, {"How many times faster lariat is", "×", {}, 1, true, 2},
                                 [&](const Comparison& c) -> Row {
                                   if (std::isnan(c.ratio()) || is_program(c.what)) return {};
                                   Row row{"", c.spread().text() + (c.spread().differs() ? "" : " ~1"), {}};
                                   row.values.assign(names.size(), NAN);
                                   row.intervals.assign(names.size(), {NAN, NAN});
                                   for (const Rival& rival : c.rivals()) {
                                     const auto place = std::ranges::find(names, rival.name) - names.begin();
                                     row.values[place] = rival.spread.middle;
                                     row.intervals[place] = {rival.spread.low, rival.spread.high};
                                   }
                                   return row;
                                 });
  if (chart.empty()) return {};
  std::string keys;
  for (size_t i = 0; i < names.size(); ++i) keys += key(static_cast<int>(i) + 1, names[i]) + ", ";
  return section(
      "Beside others",
      "Another side's time over lariat's: " + keys +
          "each with its best number of threads and setting, measured in turns on the same data "
          "after a check that all compute the same. Bars are medians, the lines over them 95% "
          "intervals of paired rounds; what is left of 1 is where lariat takes longer. In figures, "
          "beside the best of all: ~1 is not separable from 1. Logarithmic axis.",
      chart);
}

// What the least program costs.
std::string programs(const Results& results) {
  const std::string chart =
      bars(results, {"What the least program costs", "×", {}, 1, true, 2}, [](const Comparison& c) -> Row {
        if (!is_program(c.what) || std::isnan(c.ratio())) return {};
        return {"",
                fmt::format("{} / {} {}", short_number(c.figure(*c.best("lariat"))),
                            short_number(c.figure(*c.best_other())), c.unit()),
                {c.ratio()}};
      });
  if (chart.empty()) return {};
  return section("The least program",
                 "Its time to start and its memory, and how long the compiler takes to read the library's "
                 "header: libtorch's over lariat's, and both figures. Logarithmic axis.",
                 chart);
}

std::string shares(const Results& results) {
  const std::string chart = bars(results, {"Share of the machine's limit", "%", {}, 0, false, 100},
                                 [&](const Comparison& c) -> Row {
                                   const double peak = 100 * c.peak_share(results.machine),
                                                memory = 100 * c.bandwidth_share(results.machine);
                                   if (std::isfinite(memory))
                                     return {"", fmt::format("{:.0f}% of bandwidth", memory), {memory}};
                                   return {"", fmt::format("{:.0f}% of products", peak), {peak}};
                                 });
  if (chart.empty()) return {};
  return section(
      "Of what the machine can do",
      "Lariat's matrix products beside the fastest large product on the same threads; where memory "
      "decides, the bytes that must be moved beside the measured bandwidth.",
      chart);
}

// One thread's time over that of so many; NaN where one was not measured.
double speedup(const Comparison& c, const std::string& side, int threads) {
  const Timing *one = c.best(side, 1), *all = c.best(side, threads);
  return one && all ? one->milliseconds / all->milliseconds : NAN;
}

std::string speedup_bars(const Results& results) {
  return bars(results, {"Speed-up by threads", "×", {}, 0, false, static_cast<double>(results.threads)},
              [&](const Comparison& c) -> Row {
                const double own = speedup(c, "lariat", results.threads),
                             other = c.best_other() ? speedup(c, c.best_other()->side, results.threads) : NAN;
                return {"", fmt::format("{:.2f}×", own), {own, other}};
              });
}

// A picture for each case: lariat and the others, over the number of threads.
std::string speedup_lines(const Results& results) {
  std::string cards;
  for (const Comparison& c : results.comparisons) {
    if (!c.what.amount.empty() || is_program(c.what)) continue;
    PointChart chart{
        c.what.name + " by threads", "threads", c.what.name + ": one thread's time over so many's", {}};
    std::vector<std::string> sides{"lariat"};
    for (const Peer& peer : c.what.peers) sides.push_back(peer.name);
    for (const std::string& side : sides) {
      PointChart::Series series{side, {}};
      for (const Limit& limit : results.machine.limits)
        if (const double times = speedup(c, side, limit.threads); std::isfinite(times))
          series.points.push_back({static_cast<double>(limit.threads), times,
                                   fmt::format("{} threads: {:.2f}×, {:.4g} ms", limit.threads, times,
                                               c.best(side, limit.threads)->milliseconds)});
      if (series.points.size() > 1) chart.series.push_back(std::move(series));
    }
    if (!chart.series.empty()) cards += "<div class=\"card\">" + point_chart(chart) + "</div>\n";
  }
  return cards.empty() ? "" : "<div class=\"pair\">" + cards + "</div>";
}

std::string scaling(const Results& results) {
  if (results.threads < 2) return {};
  if (results.machine.limits.size() > 2)
    return section("Threads", "One thread's time over that of more, each side at its best setting.",
                   speedup_lines(results));
  const std::string chart = speedup_bars(results);
  if (chart.empty()) return {};
  return section("Threads",
                 fmt::format("One thread's time over that of {}: {}, {}.", results.threads, key(1, "lariat"),
                             key(2, "the best of the others")),
                 chart);
}

std::string memory(const Results& results) {
  const std::string chart =
      bars(results, {"Peak memory in megabytes", " MB", {}}, [](const Comparison& c) -> Row {
        if (is_program(c.what)) return {};
        const Timing *own = c.best("lariat"), *other = c.best_other();
        return {"",
                fmt::format("{:.0f}{}", own->peak_megabytes,
                            other ? fmt::format(" / {:.0f} MB", other->peak_megabytes) : " MB"),
                {own->peak_megabytes, other ? other->peak_megabytes : NAN}};
      });
  if (chart.empty()) return {};
  return section("Memory",
                 "The most that the process had resident, all libraries included: " + key(1, "lariat") +
                     ", " + key(2, "the best of the others") + ".",
                 chart);
}

std::string costs(const Results& results) {
  std::vector<std::vector<Fit>> series;
  for (const Fit& fit : fits(results.comparisons)) {
    if (series.empty() || series.back().front().name != fit.name) series.emplace_back();
    series.back().push_back(fit);
  }
  std::string cards;
  for (const std::vector<Fit>& lines : series) {
    std::string caption = escaped(lines.front().name);
    for (size_t i = 0; i < lines.size(); ++i)
      caption += fmt::format("; {}: {:.4g} µs per {}, R² {:.4f}",
                             key(static_cast<int>(i) % 3 + 1, fmt::format("{} threads", lines[i].threads)),
                             1e3 * lines[i].slope, escaped(lines[i].amount), lines[i].r_squared);
    cards += "<div class=\"card\">" + line_chart(lines) + "<p class=\"caption\">" + caption + "</p></div>\n";
  }
  if (cards.empty()) return {};
  return section("How the cost grows",
                 "Lariat's time for a step, and the line through the medians by least squares.",
                 "<div class=\"pair\">" + cards + "</div>");
}

std::string table(const Results& results) {
  std::string rows;
  for (const Comparison& c : results.comparisons)
    for (const Timing& t : c.timings)
      rows += fmt::format(
          "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.4g}</td><td>{:.1f}</td></tr>",
          escaped(c.what.name), t.side, escaped(t.setting), t.threads, t.milliseconds, t.peak_megabytes);
  return "<details><summary>All medians</summary><div "
         "class=\"scroll\"><table><thead><tr><th>case</th><th>side</th>"
         "<th>setting</th><th>threads</th><th>ms</th><th>MB</th></tr></thead><tbody>" +
         rows + "</tbody></table></div></details>\n";
}

}  // namespace

std::string page_html(const Results& results) {
  const std::string title = "Lariat's benchmarks";
  return fmt::format(
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
             "content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>{}{}"
             "</style>\n</head>\n<body>\n<main>\n<h1>{}</h1>\n"
             "<pre class=\"soft\">{}</pre>\n",
             title, reports::report_style, bars_style, title, escaped(describe(results))) +
         headline(results) + ratios(results) + programs(results) + shares(results) + scaling(results) +
         memory(results) + costs(results) + table(results) + "</main>\n</body>\n</html>\n";
}

}  // namespace lariat::benchmarks
