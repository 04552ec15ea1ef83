#pragma once

#include <string>
#include <vector>

namespace lariat::reports {

/// Points (x, y) that belong together.
struct Curve {
  std::string name = {};  ///< beside its end, or below the picture; without one it has no tooltips either
  int color = 1;          ///< which of the variables --series-1 …
  std::vector<double> x = {}, y = {};
  std::vector<double> errors = {};  ///< bars of y ± error where they are not 0; empty: none
  bool line = true, dots = false, dashed = false;
  /// Said in place of x and y when a point is pointed at; empty: those.
  std::vector<std::string> titles = {};
};

/// Curves on two axes.
struct Plot {
  std::string label = {};            ///< what is read aloud in place of the picture
  std::string across = {}, up = {};  ///< what the axes show
  std::vector<Curve> curves = {};
  bool logarithmic_across = false, logarithmic_up = false;
  bool falling = false;             ///< whether large values are on the left
  size_t epochs = 0;                ///< the horizontal axis counts so many; 0: it is one of numbers
  bool from_zero = true;            ///< whether the vertical axis begins at 0
  double minimum = 0, maximum = 0;  ///< of the vertical axis, where maximum > minimum
};

/// Long names and many curves are told apart below the picture.
std::string plot_chart(const Plot& plot);

}  // namespace lariat::reports
