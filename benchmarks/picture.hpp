#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "benchmarks/fit.hpp"

namespace lariat::benchmarks {

// Pictures as SVG text, bars as elements that fit any width; their colours are those of the page's style
// sheet.

/// What a page with bars has in its style sheet besides.
extern const std::string_view bars_style;

/// Bars that lie one below the other.
struct BarChart {
  struct Row {
    std::string name, comment;   ///< before and behind the bars
    std::vector<double> values;  ///< one bar each, in the order of the series; NaN leaves its place out
    std::vector<std::pair<double, double>> intervals = {};  ///< drawn over the bars, where there are any
  };
  std::string label;  ///< what is read aloud in place of the picture
  std::string unit;   ///< behind the numbers of the axis, such as "%"
  std::vector<Row> rows;
  /// Where the bars begin. On a logarithmic axis the bars of a row that has one alone take the second series'
  /// colour below it.
  double base = 0;
  bool logarithmic = false;
  /// What the axis shows at least.
  double maximum = 0;
};
std::string bar_chart(const BarChart& chart);

/// The points of a series of cases and the lines through them, for each number of threads.
std::string line_chart(const std::vector<Fit>& lines);

/// Points of several series, and lines through them in their order, over a logarithmic axis.
struct PointChart {
  struct Point {
    double across, up;
    std::string words;  ///< shown where the mouse is
  };
  struct Series {
    std::string name;
    std::vector<Point> points;
  };
  std::string label;  ///< what is read aloud in place of the picture
  std::string across, up;
  std::vector<Series> series;
};
std::string point_chart(const PointChart& chart);

/// Such pictures, one below the other.
std::string stacked(const std::vector<std::string>& charts);

}  // namespace lariat::benchmarks
