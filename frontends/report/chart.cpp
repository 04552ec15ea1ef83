#include "frontends/report/chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "frontends/report/axis.hpp"
#include "frontends/report/figures.hpp"
#include "frontends/report/plot.hpp"
#include "frontends/report/style.hpp"

namespace lariat::reports {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

std::string line_chart(const LineChart& chart) {
  Plot plot{.label = chart.label, .across = chart.across, .up = chart.unit};
  plot.logarithmic_up = chart.logarithmic;
  plot.minimum = chart.minimum;
  plot.maximum = chart.maximum;
  const bool by_epoch = chart.places.empty();
  plot.logarithmic_across = plot.falling = !by_epoch;
  for (const Series& series : chart.series) {
    Curve curve{.name = series.name, .color = series.color};
    for (size_t i = 0; i < series.values.size(); ++i) {
      curve.x.push_back(by_epoch ? (static_cast<double>(i) + 1) * chart.every : chart.places[i]);
      curve.y.push_back(series.values[i]);
    }
    if (by_epoch && chart.every == 1) plot.epochs = std::max(plot.epochs, series.values.size());
    plot.curves.push_back(std::move(curve));
  }
  if (by_epoch && chart.every == 1) plot.epochs = std::max<size_t>(1, plot.epochs);
  return plot_chart(plot);
}

std::string svg_file(const std::string& picture) {
  const size_t name = std::string("<svg").size(), head = picture.find('>') + 1;
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\"{}<style>{}</style><rect width=\"100%\" height=\"100%\" "
      "fill=\"var(--card)\"/>{}\n",
      picture.substr(name, head - name), report_style, picture.substr(head));
}

std::string comparison_chart(const std::string& name, const std::vector<float>& truth,
                             const std::vector<float>& given) {
  constexpr double width = 480, height = 280, top = 14, bottom = 40;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const std::vector<float>* values : {&truth, &given})
    for (const float value : *values)
      if (std::isfinite(value)) {
        low = std::min(low, static_cast<double>(value));
        high = std::max(high, static_cast<double>(value));
      }
  const Axis axis = linear_axis(low <= high ? low : 0, high, 5);
  const double left = room_beside(axis), right_end = width - room_behind(axis);
  const auto x = [&](double value) { return left + axis.place(value) * (right_end - left); };
  const auto y = [&](double value) { return height - bottom - axis.place(value) * (height - top - bottom); };
  std::string svg = fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}: found against true\">", width,
      height, escaped(name));
  for (const double tick : axis.ticks)
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"tick\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>"
        "<text class=\"tick\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        left, right_end, y(tick), y(tick), left - 7, y(tick) + 4, tick_text(tick), x(tick),
        height - bottom + 17, tick_text(tick));
  svg += fmt::format("<line class=\"axis\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
                     x(axis.low), x(axis.high), y(axis.low), y(axis.high));
  svg += fmt::format("<text class=\"unit\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">what it is</text>",
                     (left + right_end) / 2, height - 6);
  svg += fmt::format(
      "<text class=\"unit\" transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\">what was "
      "found</text><g>",
      (top + height - bottom) / 2);
  for (size_t i = 0; i < truth.size(); ++i)
    if (std::isfinite(truth[i]) && std::isfinite(given[i]))
      svg += fmt::format("<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\"/>",
                         x(static_cast<double>(truth[i])), y(static_cast<double>(given[i])));
  return svg + "</g></svg>";
}

std::string confusion_chart(const std::vector<std::string>& classes, const std::vector<int64_t>& counts) {
  constexpr size_t longest_name = 18;
  const size_t n = classes.size();
  std::vector<std::string> names;
  size_t longest = 1;
  for (const std::string& name : classes) {
    names.push_back(shortened(name, longest_name));
    longest = std::max(longest, columns_of(names.back()));
  }
  const bool turned = longest > 2;
  const double cell = std::clamp(420.0 / static_cast<double>(n), 14.0, 40.0),
               font = std::min(13.0, 0.25 * cell + 6), letter = 0.62 * font;
  const double margin = 30 + letter * static_cast<double>(longest), size = margin + cell * double(n) + 4;

  // Where a narrow page would make names too small to be read, the picture is wider than the page.
  std::string svg = fmt::format(
      "<div class=\"scroll\"><svg class=\"confusion\" viewBox=\"0 0 {0:.0f} {0:.0f}\" "
      "style=\"max-width:{1:.0f}px;min-width:{2:.0f}px\" role=\"img\" "
      "aria-label=\"Confusion matrix of {3} classes\">",
      size, 1.25 * size, size * std::min(1.0, 9 / font), n);
  svg += fmt::format("<text class=\"unit\" x=\"{:.1f}\" y=\"13\" text-anchor=\"middle\">taken for</text>",
                     (margin + size) / 2);
  svg += fmt::format(
      "<text class=\"unit\" transform=\"translate(12 {:.1f}) rotate(-90)\" "
      "text-anchor=\"middle\">is</text>",
      (margin + size) / 2);
  const auto label = [&](size_t i, const std::string& place) {
    return fmt::format("<text class=\"tick\" style=\"font-size:{:.1f}px\" {}><title>{}</title>{}</text>",
                       font, place, escaped(classes[i]), escaped(names[i]));
  };
  for (size_t i = 0; i < n; ++i) {
    const double at = margin + (double(i) + 0.5) * cell;
    svg += label(i, fmt::format("x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\"", margin - 6, at + font / 3));
    svg += label(i, turned ? fmt::format("transform=\"translate({:.1f} {:.1f}) rotate(-90)\"", at + font / 3,
                                         margin - 6)
                           : fmt::format("x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\"", at, margin - 7));
  }
  for (size_t truth = 0; truth < n; ++truth) {
    const auto row = counts.begin() + static_cast<int64_t>(truth * n);
    const int64_t total = std::accumulate(row, row + static_cast<int64_t>(n), int64_t{0});
    for (size_t answer = 0; answer < n; ++answer) {
      const int64_t count = row[static_cast<int64_t>(answer)];
      const double share = total == 0 ? 0 : double(count) / double(total);
      const double px = margin + double(answer) * cell, py = margin + double(truth) * cell;
      const char* kind = truth == answer ? "series-3" : "series-6";
      svg += fmt::format(
          "<g class=\"{}\"><rect class=\"cell\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
          "rx=\"2\" "
          "fill-opacity=\"{:.2f}\"><title>{} taken for {}: {} of {}</title></rect></g>",
          kind, px + 0.75, py + 0.75, cell - 1.5, cell - 1.5, count == 0 ? 0.05 : 0.2 + 0.8 * share,
          escaped(classes[truth]), escaped(classes[answer]), count, total);
      if (count > 0 && cell >= 16)
        svg += fmt::format(
            "<text class=\"{}\" style=\"font-size:{:.1f}px\" x=\"{:.1f}\" y=\"{:.1f}\" "
            "text-anchor=\"middle\">{}</text>",
            share > 0.5 ? "count inverse" : "count", font, px + cell / 2, py + cell / 2 + font / 3, count);
    }
  }
  return svg + "</svg></div>";
}

}  // namespace lariat::reports
