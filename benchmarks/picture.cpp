#include "benchmarks/picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "frontends/report/chart.hpp"

namespace lariat::benchmarks {

namespace {

using reports::escaped;

// Where numbers lie along an axis, as a share of its length.
struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;
  std::vector<double> ticks = {};

  double place(double value) const {
    if (logarithmic) return std::log(value / low) / std::log(high / low);
    return (value - low) / (high - low);
  }
};

// From 0 to `high` or a little more, in three to six steps of 1, 2 or 5 times a power of ten.
Axis linear_axis(double high) {
  const double power = std::pow(10, std::floor(std::log10(high)));
  const double digits = high / power;
  const double step = power * (digits > 6 ? 2 : digits > 2.5 ? 1 : digits > 1.2 ? 0.5 : 0.2);
  Axis axis;
  for (double tick = 0; tick < high + step * 0.99; tick += step) axis.ticks.push_back(tick);
  axis.high = axis.ticks.back();
  return axis;
}

// From `low` or a little less to `high` or a little more, about five steps of 1, 2 or 5 times a power of ten.
Axis axis_between(double low, double high) {
  const double rough = std::max(high - low, 1e-3) / 5, power = std::pow(10, std::floor(std::log10(rough)));
  const double step = power * (rough / power > 5 ? 10 : rough / power > 2 ? 5 : rough / power > 1 ? 2 : 1);
  Axis axis{step * std::floor(low / step), step * std::ceil(high / step)};
  if (axis.high <= axis.low) axis.high = axis.low + step;
  for (double tick = axis.low; tick < axis.high + step / 2; tick += step) axis.ticks.push_back(tick);
  return axis;
}

// With ticks at 1, 2 and 5 times the powers of ten.
Axis logarithmic_axis(double low, double high) {
  Axis axis{low, high, true};
  for (double power = std::pow(10, std::floor(std::log10(low))); power <= high; power *= 10)
    for (const double factor : {1, 2, 5})
      if (factor * power >= low && factor * power <= high) axis.ticks.push_back(factor * power);
  return axis;
}

Axis axis_of(const BarChart& chart) {
  double low = chart.base, high = chart.maximum;
  for (const BarChart::Row& row : chart.rows)
    for (const double value : row.values)
      if (std::isfinite(value)) {
        low = std::min(low, value);
        high = std::max(high, value);
      }
  return chart.logarithmic ? logarithmic_axis(low / 1.1, high * 1.1) : linear_axis(high);
}

std::string text(double x, double y, const char* kind, const char* anchor, const std::string& words) {
  return fmt::format(R"(<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>)", kind, x, y,
                     anchor, escaped(words));
}

std::string line(const char* kind, double x1, double y1, double x2, double y2) {
  return fmt::format(R"(<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>)", kind, x1, y1,
                     x2, y2);
}

std::string amount_text(double amount) {
  return amount >= 1e6 ? fmt::format("{:.3g} million", amount / 1e6) : fmt::format("{:g}", amount);
}

std::string opening(double width, double height, const std::string& label) {
  return fmt::format(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}">)", width, height,
                     escaped(label));
}

}  // namespace

const std::string_view bars_style = R"css(
.bars { font-size: 0.82rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.bar { display: grid; grid-template: "name track comment" / minmax(0, 17rem) minmax(0, 1fr) minmax(0, 11.5rem);
  gap: 0 12px; align-items: center; }
.bar > .name { grid-area: name; text-align: right; overflow-wrap: anywhere; }
.bar > .comment { grid-area: comment; color: var(--soft); }
.track { grid-area: track; display: block; position: relative; align-self: stretch; padding: 3px 0; }
.track u { position: absolute; top: 0; bottom: 0; border-left: 1px solid var(--rule); }
.track u.base { border-color: var(--soft); }
.track em { position: absolute; transform: translateX(-50%); color: var(--soft); font-style: normal;
  white-space: nowrap; }
.lane { display: block; position: relative; height: 10px; }
.lane i { position: absolute; top: 1px; bottom: 1px; min-width: 1px; border-radius: 1.5px; background: currentColor; }
.lane b { position: absolute; top: 50%; border-top: 1.5px solid var(--ink); }
.bar.axis .track { min-height: 1.7em; }
@media (max-width: 640px) {
  .bar { grid-template: "name comment" "track track" / minmax(0, 1fr) auto; margin-top: 5px; }
  .bar > .name { text-align: left; }
  .track { margin: 0 14px; }
}
.pair > .card:only-child { max-width: 600px; }
)css";

std::string bar_chart(const BarChart& chart) {
  const Axis axis = axis_of(chart);
  const auto place = [&](double value) { return std::clamp(100 * axis.place(value), 0.0, 100.0); };
  const auto bar = [&](const char* kind, double from, double to, const std::string& inside) {
    const auto [begin, end] = std::minmax({place(from), place(to)});
    return fmt::format(R"(<{0} style="left:{1:.2f}%;width:{2:.2f}%"{3}></{0}>)", kind, begin, end - begin,
                       inside);
  };
  std::string lines, ticks;
  for (const double tick : axis.ticks) {
    lines += fmt::format(R"(<u style="left:{:.2f}%"></u>)", place(tick));
    ticks += fmt::format(R"(<em style="left:{:.2f}%">{:g}{}</em>)", place(tick), tick, chart.unit);
  }
  lines += fmt::format(R"(<u class="base" style="left:{:.2f}%"></u>)", place(chart.base));
  std::string result = fmt::format(R"(<div class="bars" role="img" aria-label="{}">)", escaped(chart.label));
  for (const BarChart::Row& row : chart.rows) {
    std::string lanes;
    for (size_t i = 0; i < row.values.size(); ++i) {
      const double value = row.values[i];
      if (!std::isfinite(value)) continue;
      const bool below = chart.logarithmic && row.values.size() == 1 && value < chart.base;
      lanes += fmt::format(R"(<span class="lane series-{}">)", below ? 2 : i + 1) +
               bar("i", chart.base, value,
                   fmt::format(R"( title="{}: {:.4g}{}")", escaped(row.name), value, chart.unit));
      if (i < row.intervals.size() && std::isfinite(row.intervals[i].first))
        lanes += bar("b", row.intervals[i].first, row.intervals[i].second, "");
      lanes += "</span>";
    }
    result += fmt::format(
        R"(<div class="bar"><span class="name">{}</span><span class="track">{}{}</span><span class="comment">{}</span></div>)",
        escaped(row.name), lines, lanes, escaped(row.comment));
    result += '\n';
  }
  return result + fmt::format(R"(<div class="bar axis"><span class="track">{}</span></div></div>)", ticks);
}

std::string line_chart(const std::vector<Fit>& lines) {
  constexpr double width = 480, height = 280, left = 60, right = 24, top = 14, bottom = 44;
  double most = 0, longest = 0;
  for (const Fit& fit : lines)
    for (const Fit::Point& point : fit.points) {
      most = std::max(most, point.amount);
      longest = std::max(longest, point.milliseconds);
    }
  const double scale = most >= 1e6 ? 1e6 : 1;
  const Axis across = linear_axis(most), up = linear_axis(longest);
  const auto x = [&](double amount) { return left + across.place(amount) * (width - left - right); };
  const auto y = [&](double ms) { return height - bottom - up.place(ms) * (height - top - bottom); };

  std::string svg = opening(width, height, "Milliseconds of a step by " + lines.front().amount);
  for (const double tick : up.ticks)
    svg += line("grid", left, y(tick), width - right, y(tick)) +
           text(left - 7, y(tick) + 4, "tick", "end", fmt::format("{:g}", tick));
  for (const double tick : across.ticks)
    svg += text(x(tick), height - bottom + 17, "tick", "middle", fmt::format("{:g}", tick / scale));
  svg += line("axis", left, y(0), width - right, y(0));
  svg += text((left + width - right) / 2, height - 6, "unit", "middle",
              (scale > 1 ? "million " : "") + lines.front().amount + "s");
  svg += fmt::format(
      R"svg(<text class="unit" transform="translate(14 {}) rotate(-90)" text-anchor="middle">ms</text>)svg",
      (top + height - bottom) / 2);
  for (size_t i = 0; i < lines.size(); ++i) {
    const Fit& fit = lines[i];
    // A line that would cross the axis begins there.
    const double from = fit.intercept < 0 ? -fit.intercept / fit.slope : 0;
    const auto on_line = [&](double amount) { return y(fit.intercept + fit.slope * amount); };
    svg += fmt::format(R"(<g class="series-{}"><path class="line" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>)",
                       i % 3 + 1, x(from), on_line(from), x(most), on_line(most));
    for (const Fit::Point& point : fit.points)
      svg += fmt::format(
          R"(<circle class="cell" cx="{:.1f}" cy="{:.1f}" r="4.5"><title>{} {}s, {} threads: {:.4g} ms</title></circle>)",
          x(point.amount), y(point.milliseconds), amount_text(point.amount), escaped(fit.amount), fit.threads,
          point.milliseconds);
    svg += "</g>";
  }
  return svg + "</svg>";
}

std::string point_chart(const PointChart& chart) {
  constexpr double width = 720, height = 420, left = 60, right = 24, top = 40, bottom = 44;
  constexpr double unlimited = std::numeric_limits<double>::infinity();
  double least = unlimited, most = 0, low = unlimited, high = -unlimited;
  for (const PointChart::Series& series : chart.series)
    for (const PointChart::Point& point : series.points) {
      least = std::min(least, point.across), most = std::max(most, point.across);
      low = std::min(low, point.up), high = std::max(high, point.up);
    }
  const Axis across = logarithmic_axis(least / 1.2, most * 1.2), up = axis_between(low, high);
  const auto x = [&](double value) { return left + across.place(value) * (width - left - right); };
  const auto y = [&](double value) { return height - bottom - up.place(value) * (height - top - bottom); };

  std::string svg = opening(width, height, chart.label);
  for (const double tick : up.ticks)
    svg += line("grid", left, y(tick), width - right, y(tick)) +
           text(left - 7, y(tick) + 4, "tick", "end", fmt::format("{:g}", tick));
  for (const double tick : across.ticks)
    svg += text(x(tick), height - bottom + 17, "tick", "middle", fmt::format("{:g}", tick));
  svg += line("axis", left, height - bottom, width - right, height - bottom);
  svg += text((left + width - right) / 2, height - 6, "unit", "middle", chart.across);
  svg += text(left, 14, "unit", "start", chart.up);
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const PointChart::Series& series = chart.series[i];
    std::string path;
    svg += fmt::format(R"(<g class="series-{}">)", i % 3 + 1);
    for (const PointChart::Point& point : series.points) {
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x(point.across), y(point.up));
      svg += fmt::format(R"(<circle class="cell" cx="{:.1f}" cy="{:.1f}" r="4.5"><title>{}</title></circle>)",
                         x(point.across), y(point.up), escaped(point.words));
    }
    const double key = left + 190 * static_cast<double>(i);
    svg += fmt::format(R"(<path class="line" d="{}"/><circle class="cell" cx="{:.1f}" cy="29" r="4.5"/></g>)",
                       path, key + 5);
    svg += text(key + 15, 33, "tick", "start", series.name);
  }
  return svg + "</svg>";
}

std::string stacked(const std::vector<std::string>& charts) {
  constexpr int width = 720, height = 420, apart = 20;
  std::string svg = fmt::format(R"(<svg viewBox="0 0 {} {}" role="img">)", width,
                                static_cast<int>(charts.size()) * (height + apart));
  for (size_t i = 0; i < charts.size(); ++i)
    svg +=
        std::string(charts[i]).insert(4, fmt::format(R"( y="{}" width="{}" height="{}")",
                                                     static_cast<int>(i) * (height + apart), width, height));
  return svg + "</svg>";
}

}  // namespace lariat::benchmarks
