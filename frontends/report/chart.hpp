#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/base/tensor.hpp"

namespace lariat::reports {

// Pictures as SVG or HTML text. Colours are CSS variables that the page defines, so that one picture suits
// light and dark; see report.css.

/// The text with &, <, >, " made harmless in HTML.
std::string escaped(std::string_view text);

struct Series {
  std::string name;            ///< at the line's end; without one the line has no tooltips either
  std::vector<double> values;  ///< one per epoch, from epoch 1, or per place of the chart; NaN leaves a gap
  int color = 1;               ///< which of the variables --series-1 to --series-6
};

struct LineChart {
  std::string label;  ///< what is read aloud in place of the picture
  std::string unit;   ///< of the vertical axis, such as "loss" or "%"
  std::vector<Series> series = {};
  bool logarithmic = false;
  double minimum = 0, maximum = 0;  ///< of the vertical axis, where maximum > minimum
  std::string across = "epoch";     ///< what the horizontal axis shows
  int every = 1;                    ///< epochs, or what else is across, from one value to the next
  std::vector<double> places = {};  ///< of the values on it, falling, on a logarithmic axis; none: epochs
};

/// Lines over epochs or other places, with axes, ticks, a name at each line's end, and a tooltip at each
/// point.
std::string line_chart(const LineChart& chart);

/// A picture as the text of a file of its own, with its colours.
std::string svg_file(const std::string& picture);

/// Points of two numbers each on axes of one scale, with the line on which they are equal.
std::string comparison_chart(const std::string& name, const std::vector<float>& truth,
                             const std::vector<float>& given);

/// counts[truth * classes + answer], rows are truth. Cells are shaded by their share of the row.
std::string confusion_chart(const std::vector<std::string>& classes, const std::vector<int64_t>& counts);

/// A weight as a picture: one pixel an element, or a block where it is larger than the page. Exact zeros are
/// left open. `blocks` name equal parts of its last axis, side by side, each with its share of zeros.
std::string weight_picture(const std::string& name, const Tensor& tensor,
                           const std::vector<std::string>& blocks = {});

}  // namespace lariat::reports
