#include <fmt/format.h>

#include "frontends/sequential/learning_records.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

int64_t label_count(const DataShape& shape) { return shape.targets.width; }

std::vector<std::string> label_names(const DataShape& shape) {
  const bool by_class =
      shape.targets.names.empty() && shape.classes.size() == static_cast<size_t>(shape.targets.width);
  return by_class ? shape.classes : task_parts::target_names(shape);
}

void check_label_shape(const DataShape& shape, const std::string& loss) {
  if (shape.targets.width > 0) return;
  throw UserError(fmt::format(
      "{} learns several labels at once, but the data have one label an example; give targets, 0 or 1 each",
      loss));
}

void show_labels(const Outcome& outcome, Evaluation& evaluation) {
  const Decisions decisions(outcome);
  evaluation.accuracy = weighted_mean(outcome, outcome.width, [&](int64_t row, int64_t column) {
    return decisions.is(row, column) == decisions.said(row, column);
  });
}

void describe_labels(const DataShape& shape, Prediction& prediction) {
  prediction.probabilities = prediction.values;
  prediction.index = -1;
  prediction.probability = std::numeric_limits<double>::quiet_NaN();
  const std::vector<std::string> names = label_names(shape);
  for (size_t i = 0; i < names.size(); ++i)
    if (prediction.values[i] > 0.5F) prediction.label += (prediction.label.empty() ? "" : ", ") + names[i];
}

}  // namespace

LearningTask task_records::labels() {
  return {
      .name = "labels",
      .doc = "several labels at once, each true or not: an output for each",
      .check_shape = check_label_shape,
      .check_targets = task_parts::check_shares,
      .outputs = label_count,
      .reason =
          [](const DataShape& shape) { return fmt::format("the data have {} labels", label_count(shape)); },
      .names = label_names,
      .targets = task_parts::targets_input,
      .link = [](Value outputs) { return sigmoid(outputs); },
      .truth = task_parts::copy_truth,
      .metrics = {"accuracy", "f1"},
      .show = show_labels,
      .describe = describe_labels};
}

}  // namespace lariat
