#include "frontends/report/chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

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

namespace {

// The picture's own units. A phone shows them at three quarters, a desktop at about their size.
constexpr double width = 480, height = 280, left = 52, right = 106, top = 14, bottom = 40;
constexpr double label_distance = 15;

struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;
  std::vector<double> ticks;

  double place(double value) const {
    if (logarithmic) value = std::log10(std::max(value, 1e-300));
    return (value - low) / (high - low);
  }
};

// Multiples of 1, 2 or 5 times a power of ten, about `count` of them.
Axis linear_axis(double low, double high, int count) {
  if (!(high > low)) high = low + 1;
  const double rough = (high - low) / count, power = std::pow(10, std::floor(std::log10(rough)));
  const double step = power * (rough / power > 5 ? 10 : rough / power > 2 ? 5 : rough / power > 1 ? 2 : 1);
  Axis axis{step * std::floor(low / step + 1e-9), step * std::ceil(high / step - 1e-9), false, {}};
  for (int i = 0; axis.low + i * step <= axis.high + step / 2; ++i) axis.ticks.push_back(axis.low + i * step);
  return axis;
}

Axis logarithmic_axis(double low, double high) {
  Axis axis{std::log10(low), std::log10(high), true, {}};
  const double margin = std::max(0.02, 0.04 * (axis.high - axis.low));
  axis.low -= margin;
  axis.high += margin;
  const bool wide = axis.high - axis.low > 2.5;
  for (int decade = static_cast<int>(std::floor(axis.low)); decade <= axis.high; ++decade)
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double tick = factor * std::pow(10.0, decade), at = std::log10(tick);
      if (at >= axis.low && at <= axis.high && (factor == 1 || !wide)) axis.ticks.push_back(tick);
    }
  return axis;
}

Axis value_axis(const LineChart& chart) {
  if (chart.maximum > chart.minimum) return linear_axis(chart.minimum, chart.maximum, 5);
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (const Series& series : chart.series)
    for (const double value : series.values)
      if (std::isfinite(value) && (!chart.logarithmic || value > 0)) {
        low = std::min(low, value);
        high = std::max(high, value);
      }
  if (chart.logarithmic && low <= high) return logarithmic_axis(low, high);
  return linear_axis(std::min(0.0, low), high, 5);
}

Axis epoch_axis(int64_t epochs, int every) {
  Axis axis = linear_axis(0, static_cast<double>(epochs), 6);
  std::erase_if(axis.ticks, [&](double tick) {
    return tick != std::floor(tick) || tick < every || tick > double(epochs);
  });
  if (every == 1 && (axis.ticks.empty() || axis.ticks.front() > 1)) axis.ticks.insert(axis.ticks.begin(), 1);
  axis.low = every;
  axis.high = std::max(2.0 * every, static_cast<double>(epochs));
  return axis;
}

std::string number(double value) { return fmt::format("{:.4g}", value); }

// Moves labels apart that would overlap, keeping their order and as near to their lines as that allows.
void spread(std::vector<std::pair<double, size_t>>& places) {
  std::sort(places.begin(), places.end());
  for (size_t i = 1; i < places.size(); ++i)
    places[i].first = std::max(places[i].first, places[i - 1].first + label_distance);
  double limit = height - bottom;
  for (size_t i = places.size(); i-- > 0; limit = places[i].first - label_distance)
    places[i].first = std::min(places[i].first, limit);
}

}  // namespace

std::string line_chart(const LineChart& chart) {
  size_t epochs = 0;
  for (const Series& series : chart.series) epochs = std::max(epochs, series.values.size());
  const bool by_epoch = chart.places.empty();
  const Axis vertical = value_axis(chart);
  const Axis horizontal = by_epoch ? epoch_axis(static_cast<int64_t>(epochs) * chart.every, chart.every)
                                   : logarithmic_axis(chart.places.back(), chart.places.front());
  const auto x = [&](double at) {
    const double share = horizontal.place(at);
    return left + (by_epoch ? share : 1 - share) * (width - left - right);
  };
  const auto at = [&](size_t i) {
    return by_epoch ? (static_cast<double>(i) + 1) * chart.every : chart.places[i];
  };
  const auto y = [&](double value) {
    return height - bottom - vertical.place(value) * (height - top - bottom);
  };

  std::string svg = fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
                                width, height, escaped(chart.label));
  for (const double tick : vertical.ticks)
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"tick\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
        left, width - right, y(tick), y(tick), left - 7, y(tick) + 4, number(tick));
  for (const double tick : horizontal.ticks)
    svg += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x(tick),
                       height - bottom + 17, number(tick));
  svg += fmt::format("<line class=\"axis\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>", left, width - right,
                     height - bottom, height - bottom);
  svg += fmt::format("<text class=\"unit\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                     (left + width - right) / 2, height - 6, escaped(chart.across));
  svg += fmt::format(
      "<text class=\"unit\" transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
      (top + height - bottom) / 2, escaped(chart.unit));

  std::vector<std::pair<double, size_t>> labels;
  for (size_t s = 0; s < chart.series.size(); ++s) {
    const Series& series = chart.series[s];
    std::string path, points;
    bool pen_down = false;
    double last = -1;
    for (size_t i = 0; i < series.values.size(); ++i) {
      const double value = series.values[i];
      if (!std::isfinite(value) || (chart.logarithmic && value <= 0)) {
        pen_down = false;
        continue;
      }
      last = y(value);
      path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x(at(i)), last);
      pen_down = true;
      if (series.name.empty()) continue;
      points += fmt::format(
          "<circle class=\"point\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"6\"><title>{} {}: {} "
          "{}</title></circle>",
          x(at(i)), last, escaped(chart.across), number(at(i)), escaped(series.name), number(value));
    }
    svg += fmt::format("<g class=\"series-{}\"><path class=\"line\" d=\"{}\"/>{}</g>", series.color, path,
                       points);
    if (last >= 0 && !series.name.empty()) labels.emplace_back(last, s);
  }
  spread(labels);
  for (const auto& [place, s] : labels)
    svg += fmt::format(
        "<g class=\"series-{}\"><rect class=\"swatch\" x=\"{}\" y=\"{:.1f}\" width=\"9\" height=\"3\" "
        "rx=\"1.5\"/></g>"
        "<text class=\"name\" x=\"{}\" y=\"{:.1f}\">{}</text>",
        chart.series[s].color, width - right + 6, place - 1.5, width - right + 19, place + 4,
        escaped(chart.series[s].name));
  return svg + "</svg>";
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
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const std::vector<float>* values : {&truth, &given})
    for (const float value : *values)
      if (std::isfinite(value)) {
        low = std::min(low, static_cast<double>(value));
        high = std::max(high, static_cast<double>(value));
      }
  const Axis axis = linear_axis(low <= high ? low : 0, high, 5);
  const double right_end = width - 14;
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
        left, right_end, y(tick), y(tick), left - 7, y(tick) + 4, number(tick), x(tick), height - bottom + 17,
        number(tick));
  svg += fmt::format("<line class=\"axis\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
                     x(axis.low), x(axis.high), y(axis.low), y(axis.high));
  svg += fmt::format("<text class=\"unit\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">what it is</text>",
                     (left + right_end) / 2, height - 6);
  svg += fmt::format(
      "<text class=\"unit\" transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\">what was "
      "found</text><g class=\"series-1\">",
      (top + height - bottom) / 2);
  for (size_t i = 0; i < truth.size(); ++i)
    if (std::isfinite(truth[i]) && std::isfinite(given[i]))
      svg += fmt::format("<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\"/>",
                         x(static_cast<double>(truth[i])), y(static_cast<double>(given[i])));
  return svg + "</g></svg>";
}

std::string confusion_chart(const std::vector<std::string>& classes, const std::vector<int64_t>& counts) {
  const size_t n = classes.size();
  size_t longest = 1;
  for (const std::string& name : classes) longest = std::max(longest, name.size());
  const bool turned = longest > 2;
  const double margin = 30 + std::min(90.0, 7.5 * static_cast<double>(longest));
  const double cell = std::clamp(420.0 / static_cast<double>(n), 9.0, 40.0),
               size = margin + cell * double(n) + 4;
  const double font = std::min(13.0, 0.42 * cell + 2);

  std::string svg = fmt::format(
      "<svg class=\"confusion\" viewBox=\"0 0 {:.0f} {:.0f}\" style=\"max-width:{:.0f}px\" role=\"img\" "
      "aria-label=\"Confusion matrix of {} classes\">",
      size, size, 1.25 * size, n);
  svg += fmt::format("<text class=\"unit\" x=\"{:.1f}\" y=\"13\" text-anchor=\"middle\">recognised as</text>",
                     (margin + size) / 2);
  svg += fmt::format(
      "<text class=\"unit\" transform=\"translate(12 {:.1f}) rotate(-90)\" "
      "text-anchor=\"middle\">said</text>",
      (margin + size) / 2);
  for (size_t i = 0; i < n; ++i) {
    const double at = margin + (double(i) + 0.5) * cell;
    svg += fmt::format(
        "<text class=\"tick\" style=\"font-size:{:.1f}px\" x=\"{:.1f}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{}</text>",
        font, margin - 6, at + font / 3, escaped(classes[i]));
    svg += turned
               ? fmt::format(
                     "<text class=\"tick\" style=\"font-size:{:.1f}px\" transform=\"translate({:.1f} {:.1f}) "
                     "rotate(-90)\">{}</text>",
                     font, at + font / 3, margin - 6, escaped(classes[i]))
               : fmt::format(
                     "<text class=\"tick\" style=\"font-size:{:.1f}px\" x=\"{:.1f}\" y=\"{:.1f}\" "
                     "text-anchor=\"middle\">{}</text>",
                     font, at, margin - 7, escaped(classes[i]));
  }
  for (size_t truth = 0; truth < n; ++truth) {
    const auto row = counts.begin() + static_cast<int64_t>(truth * n);
    const int64_t total = std::accumulate(row, row + static_cast<int64_t>(n), int64_t{0});
    for (size_t answer = 0; answer < n; ++answer) {
      const int64_t count = row[static_cast<int64_t>(answer)];
      const double share = total == 0 ? 0 : double(count) / double(total);
      const double px = margin + double(answer) * cell, py = margin + double(truth) * cell;
      const char* kind = truth == answer ? "series-1" : "series-2";
      svg += fmt::format(
          "<g class=\"{}\"><rect class=\"cell\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
          "rx=\"2\" "
          "fill-opacity=\"{:.2f}\"><title>{} recognised as {}: {} of {}</title></rect></g>",
          kind, px + 0.75, py + 0.75, cell - 1.5, cell - 1.5, count == 0 ? 0.05 : 0.2 + 0.8 * share,
          escaped(classes[truth]), escaped(classes[answer]), count, total);
      if (count > 0 && cell >= 16)
        svg += fmt::format(
            "<text class=\"{}\" style=\"font-size:{:.1f}px\" x=\"{:.1f}\" y=\"{:.1f}\" "
            "text-anchor=\"middle\">{}</text>",
            share > 0.5 ? "count inverse" : "count", font, px + cell / 2, py + cell / 2 + font / 3, count);
    }
  }
  return svg + "</svg>";
}

}  // namespace lariat::reports
