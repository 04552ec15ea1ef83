#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "frontends/sequential/learning_records.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

constexpr int64_t most_shown = 2000;

void check_number_shape(const DataShape& shape, const std::string& loss) {
  if (shape.targets.width > 0) return;
  throw UserError(
      fmt::format("{} learns numbers, but the data have labels of {} classes; give targets, or take "
                  "softmax_cross_entropy",
                  loss, shape.classes.size()));
}

void check_numbers(const data::Example& example, const DataShape&) {
  for (const float target : example.targets)
    if (!std::isfinite(target))
      throw UserError(
          fmt::format("{}has the target {}; it must be a finite number, of a magnitude up to 3.4e38",
                      task_parts::place_of(example), target));
}

// Rows at even distances where there are many.
void show_numbers(const Outcome& outcome, Evaluation& evaluation) {
  evaluation.accuracy = std::numeric_limits<double>::quiet_NaN();
  const int64_t stride = (outcome.rows + most_shown - 1) / most_shown;
  for (int64_t column = 0; column < outcome.width; ++column) {
    Comparison comparison{outcome.names[static_cast<size_t>(column)], {}, {}};
    for (int64_t row = 0; row < outcome.rows; row += stride) {
      comparison.truth.push_back(outcome.target(row, column));
      comparison.given.push_back(outcome.output(row, column));
    }
    evaluation.comparisons.push_back(std::move(comparison));
  }
}

}  // namespace

LearningTask task_records::numbers() {
  return {.name = "numbers",
          .doc = "numbers (regression), one or several, for an example or for each frame",
          .check_shape = check_number_shape,
          .check_targets = check_numbers,
          .outputs = [](const DataShape& shape) { return shape.targets.width; },
          .reason =
              [](const DataShape& shape) {
                return fmt::format("the data have {} number{} to learn", shape.targets.width,
                                   shape.targets.width == 1 ? "" : "s");
              },
          .names = task_parts::target_names,
          .targets = task_parts::targets_input,
          .link = [](Value outputs) { return outputs; },
          .truth = task_parts::copy_truth,
          .metrics = {"mean_squared_error", "mean_absolute_error", "r2"},
          .show = show_numbers,
          .describe =
              [](const DataShape&, Prediction& prediction) {
                prediction.index = -1;
                prediction.probability = std::numeric_limits<double>::quiet_NaN();
              }};
}

}  // namespace lariat
