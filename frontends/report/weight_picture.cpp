#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodiff/training/trainer.hpp"
#include "frontends/report/chart.hpp"
#include "frontends/report/figures.hpp"
#include "frontends/report/png.hpp"

namespace lariat::reports {

namespace {

constexpr int64_t most_columns = 1024, most_rows = 512;
constexpr int shades = 120;
constexpr Color positive = {28, 134, 168, 255}, negative = {154, 116, 0, 255};

// A tensor as a matrix whose longer side lies across: leading axes are joined.
struct Matrix {
  const Tensor& tensor;
  int64_t rows = 1, columns = 1;
  bool transposed = false;

  explicit Matrix(const Tensor& tensor) : tensor(tensor) {
    columns = tensor.extents().empty() ? 1 : tensor.extents().back();
    rows = columns == 0 ? 0 : tensor.count() / columns;
    transposed = rows > columns;
    if (transposed) std::swap(rows, columns);
  }
  double at(int64_t row, int64_t column) const {
    return tensor.at(transposed ? column * rows + row : row * columns + column);
  }
};

// Palette entry 0 is open; then the shades of positive values, then those of negative ones.
std::vector<Color> palette() {
  std::vector<Color> colors{{0, 0, 0, 0}};
  for (const Color& full : {positive, negative})
    for (int shade = 1; shade <= shades; ++shade) {
      Color color = full;
      color[3] = static_cast<uint8_t>(70 + 185 * shade / shades);
      colors.push_back(color);
    }
  return colors;
}

// What the darkest shade stands for: the 99th percentile of the magnitudes, so that one outlier does not pale
// the rest.
double full_shade(const Tensor& tensor) {
  std::vector<double> magnitudes;
  for (int64_t i = 0; i < tensor.count(); ++i)
    if (const double magnitude = std::abs(tensor.at(i)); magnitude > 0) magnitudes.push_back(magnitude);
  if (magnitudes.empty()) return 1;
  const auto at =
      magnitudes.begin() + static_cast<int64_t>(0.99 * static_cast<double>(magnitudes.size() - 1));
  std::nth_element(magnitudes.begin(), at, magnitudes.end());
  return *at;
}

// The names of blocks with their zeros, along the side that they lie on.
std::string block_names(const Tensor& tensor, const std::vector<std::string>& blocks, bool transposed) {
  const int64_t last = tensor.extents().back(), size = last / static_cast<int64_t>(blocks.size());
  std::string html;
  for (size_t b = 0; b < blocks.size(); ++b) {
    int64_t zeros = 0, count = 0;
    for (int64_t i = 0; i < tensor.count(); ++i)
      if (i % last / size == static_cast<int64_t>(b)) {
        ++count;
        zeros += tensor.at(i) == 0 ? 1 : 0;
      }
    html +=
        fmt::format("<span>{} <i>{}</i></span>", escaped(blocks[b]),
                    percent(static_cast<double>(zeros) / static_cast<double>(std::max<int64_t>(1, count))));
  }
  return fmt::format("<div class=\"blocks{}\">{}</div>", transposed ? " down" : "", html);
}

}  // namespace

std::string weight_picture(const std::string& name, const Tensor& tensor,
                           const std::vector<std::string>& blocks) {
  const Matrix matrix(tensor);
  if (tensor.count() == 0) return {};
  const int64_t block =
      std::max((matrix.columns + most_columns - 1) / most_columns, (matrix.rows + most_rows - 1) / most_rows);
  IndexedPicture picture{static_cast<int>((matrix.columns + block - 1) / block),
                         static_cast<int>((matrix.rows + block - 1) / block),
                         palette(),
                         {}};
  const double full = full_shade(tensor);
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x) {
      double largest = 0;
      for (int64_t row = y * block; row < std::min(matrix.rows, (y + 1) * block); ++row)
        for (int64_t column = x * block; column < std::min(matrix.columns, (x + 1) * block); ++column)
          if (const double value = matrix.at(row, column); std::abs(value) > std::abs(largest))
            largest = value;
      const int shade =
          std::clamp(static_cast<int>(std::lround(shades * std::sqrt(std::abs(largest) / full))), 1, shades);
      picture.pixels.push_back(static_cast<uint8_t>(largest == 0 ? 0 : largest > 0 ? shade : shades + shade));
    }
  const Sparsity zeros = sparsity(tensor);
  const std::string scale = block == 1 ? "" : fmt::format(", one pixel is {0} × {0} weights", block);
  const bool divided = blocks.size() > 1 && !tensor.extents().empty() &&
                       tensor.extents().back() % static_cast<int64_t>(blocks.size()) == 0;
  const std::string image = fmt::format(
      "<img src=\"{}\" alt=\"{}: {} exact zeros\" width=\"{}\" height=\"{}\">", data_uri(png(picture)),
      escaped(name), percent(zeros.fraction()), picture.width, picture.height);
  const std::string caption =
      fmt::format("<figcaption><b>{}</b> {}{} <span>{} exact zeros, {} of {} kept{}</span></figcaption>",
                  escaped(name), text(tensor.extents()), matrix.transposed ? ", turned" : "",
                  percent(zeros.fraction()), grouped(zeros.count - zeros.zeros), grouped(zeros.count), scale);
  if (!divided) return fmt::format("<figure class=\"weight\">{}{}</figure>", caption, image);
  std::string lines;
  for (size_t b = 1; b < blocks.size(); ++b)
    lines += fmt::format("<i style=\"{}:{:.3f}%\"></i>", matrix.transposed ? "top" : "left",
                         100.0 * static_cast<double>(b) / static_cast<double>(blocks.size()));
  return fmt::format("<figure class=\"weight\">{}{}<div class=\"divided{}\">{}{}</div></figure>", caption,
                     block_names(tensor, blocks, matrix.transposed), matrix.transposed ? " down" : "", image,
                     lines);
}

}  // namespace lariat::reports
