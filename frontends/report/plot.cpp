#include "frontends/report/plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "frontends/report/axis.hpp"
#include "frontends/report/chart.hpp"
#include "frontends/report/figures.hpp"

namespace lariat::reports {

namespace {

// The picture's own units. A phone shows them at three quarters, a desktop at about their size.
constexpr double width = 480, top = 14, bottom = 40, drawn_height = 226;
constexpr double label_distance = 15, letter = 7.3, row_height = 18;
constexpr size_t longest_beside = 18, most_beside = 12, longest_below = 58;

struct Bounds {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

bool is_drawn(const Plot& plot, const Curve& curve, size_t i) {
  return std::isfinite(curve.x[i]) && std::isfinite(curve.y[i]) &&
         !(plot.logarithmic_across && curve.x[i] <= 0) && !(plot.logarithmic_up && curve.y[i] <= 0);
}

double error_of(const Curve& curve, size_t i) { return curve.errors.empty() ? 0 : curve.errors[i]; }

Axis vertical_axis(const Plot& plot) {
  if (plot.maximum > plot.minimum) return linear_axis(plot.minimum, plot.maximum, 5);
  Bounds bounds;
  for (const Curve& curve : plot.curves)
    for (size_t i = 0; i < curve.y.size(); ++i)
      if (is_drawn(plot, curve, i)) {
        bounds.add(curve.y[i] + error_of(curve, i));
        bounds.add(plot.logarithmic_up ? curve.y[i] : curve.y[i] - error_of(curve, i));
      }
  if (!(bounds.low <= bounds.high)) return linear_axis(0, 1, 5);
  if (plot.logarithmic_up) return logarithmic_axis(bounds.low, bounds.high);
  return linear_axis(plot.from_zero ? std::min(0.0, bounds.low) : bounds.low, bounds.high, 5);
}

Axis horizontal_axis(const Plot& plot) {
  if (plot.epochs > 0) return epoch_axis(plot.epochs);
  Bounds bounds;
  for (const Curve& curve : plot.curves)
    for (size_t i = 0; i < curve.x.size(); ++i)
      if (is_drawn(plot, curve, i)) bounds.add(curve.x[i]);
  if (!(bounds.low <= bounds.high)) return linear_axis(0, 1, 5);
  return plot.logarithmic_across ? logarithmic_axis(bounds.low, bounds.high)
                                 : linear_axis(bounds.low, bounds.high, 5);
}

// Moves labels apart that would overlap, keeping their order and as near to their lines as that allows.
void spread(std::vector<std::pair<double, size_t>>& places) {
  std::sort(places.begin(), places.end());
  for (size_t i = 1; i < places.size(); ++i)
    places[i].first = std::max(places[i].first, places[i - 1].first + label_distance);
  double limit = top + drawn_height;
  for (size_t i = places.size(); i-- > 0; limit = places[i].first - label_distance)
    places[i].first = std::min(places[i].first, limit);
}

std::string swatch(int color, double x, double y, const std::string& name) {
  return fmt::format(
      "<g class=\"series-{}\"><rect class=\"swatch\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"9\" height=\"3\" "
      "rx=\"1.5\"/></g>"
      "<text class=\"name\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>",
      color, x, y - 1.5, x + 13, y + 4, escaped(name));
}

}  // namespace

std::string plot_chart(const Plot& plot) {
  size_t longest = 0, named = 0;
  for (const Curve& curve : plot.curves)
    if (!curve.name.empty()) {
      longest = std::max(longest, columns_of(curve.name));
      ++named;
    }
  const Axis vertical = vertical_axis(plot), horizontal = horizontal_axis(plot);
  const double left = room_beside(vertical);
  const bool below = longest > longest_beside || named > most_beside;
  const double right =
      below || named == 0 ? room_behind(horizontal) : 26 + letter * static_cast<double>(longest);
  const double height =
      top + drawn_height + bottom + (below ? row_height * static_cast<double>(named) + 4 : 0);
  const double right_end = width - right, floor = top + drawn_height;
  const auto x = [&](double value) {
    const double share = horizontal.place(value);
    return left + (plot.falling ? 1 - share : share) * (right_end - left);
  };
  const auto y = [&](double value) { return floor - vertical.place(value) * drawn_height; };

  std::string svg = fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
                                width, height, escaped(plot.label));
  for (const double tick : vertical.ticks)
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"tick\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
        left, right_end, y(tick), y(tick), left - 7, y(tick) + 4, tick_text(tick));
  for (const double tick : horizontal.ticks)
    svg += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x(tick),
                       floor + 17, tick_text(tick));
  svg += fmt::format("<line class=\"axis\" x1=\"{}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\"/>", left, right_end,
                     floor, floor);
  svg += fmt::format("<text class=\"unit\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                     (left + right_end) / 2, floor + 34, escaped(plot.across));
  svg += fmt::format(
      "<text class=\"unit\" transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
      top + drawn_height / 2, escaped(fitted(plot.up, 32)));

  std::vector<std::pair<double, size_t>> ends;
  for (size_t c = 0; c < plot.curves.size(); ++c) {
    const Curve& curve = plot.curves[c];
    std::string path, points;
    bool pen_down = false;
    double last = -1;
    for (size_t i = 0; i < curve.y.size(); ++i) {
      if (!is_drawn(plot, curve, i)) {
        pen_down = false;
        continue;
      }
      const double px = x(curve.x[i]);
      last = y(curve.y[i]);
      path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", px, last);
      pen_down = true;
      if (const double error = error_of(curve, i); error > 0)
        points +=
            fmt::format("<line class=\"error\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>",
                        px, y(curve.y[i] - error), y(curve.y[i] + error));
      if (curve.name.empty() && curve.titles.empty() && !curve.dots) continue;
      const std::string title = curve.titles.empty()
                                    ? fmt::format("{} {}: {} {}", plot.across, tick_text(curve.x[i]),
                                                  curve.name, tick_text(curve.y[i]))
                                    : curve.titles[i];
      if (curve.dots)
        points += fmt::format("<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>", px, last);
      points += fmt::format(
          "<circle class=\"point\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"6\"><title>{}</title></circle>", px, last,
          escaped(title));
    }
    svg += fmt::format("<g class=\"series-{}\">", curve.color);
    if (curve.line && !path.empty())
      svg += fmt::format("<path class=\"line{}\" d=\"{}\"/>", curve.dashed ? " dashed" : "", path);
    svg += points + "</g>";
    if (last >= 0 && !curve.name.empty()) ends.emplace_back(last, c);
  }
  if (!below) {
    spread(ends);
    for (const auto& [place, c] : ends)
      svg += swatch(plot.curves[c].color, right_end + 6, place, plot.curves[c].name);
    return svg + "</svg>";
  }
  double place = floor + bottom + row_height / 2;
  for (const Curve& curve : plot.curves)
    if (!curve.name.empty()) {
      svg += swatch(curve.color, left, place, fitted(curve.name, longest_below));
      place += row_height;
    }
  return svg + "</svg>";
}

}  // namespace lariat::reports
