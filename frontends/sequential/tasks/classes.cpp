#include <fmt/format.h>

#include <cmath>

#include "frontends/sequential/learning_records.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// Without names there are as many classes as a distribution has shares.
std::vector<std::string> class_names(const DataShape& shape) {
  return shape.classes.empty() && shape.targets.width > 1 ? task_parts::target_names(shape) : shape.classes;
}

int64_t class_count(const DataShape& shape) { return static_cast<int64_t>(class_names(shape).size()); }

// One number names a class; others are shares of all.
bool are_indices(const DataShape& shape) { return shape.targets.width == 1; }

void check_class_shape(const DataShape& shape, const std::string& loss) {
  const int64_t classes = class_count(shape), width = shape.targets.width;
  if (classes == 0)
    throw UserError(fmt::format(
        "{} learns classes, but the data name none; name them, or take a loss for numbers, such as "
        "mean_squared_error",
        loss));
  if (classes == 1)
    throw UserError(fmt::format("{} tells classes apart, but the data have one, '{}'; give data of several",
                                loss, class_names(shape).front()));
  if (width > 1 && width != classes)
    throw UserError(fmt::format(
        "{} learns classes, of which the data have {}, but their targets are {} numbers; give one, "
        "the class, or {}, the share of each",
        loss, classes, width, classes));
}

void check_class_targets(const data::Example& example, const DataShape& shape) {
  const int64_t classes = class_count(shape);
  const std::string place = task_parts::place_of(example);
  if (shape.targets.width == 0 && (example.label < 0 || example.label >= classes))
    throw UserError(fmt::format("{}has the label {}, but the data have {} classes; labels count from 0",
                                place, example.label, classes));
  if (are_indices(shape))
    for (const float target : example.targets)
      if (!(target >= 0 && target < static_cast<float>(classes) && target == std::floor(target)))
        throw UserError(
            fmt::format("{}has the target {}, which is no class; they are whole numbers from 0 to {}", place,
                        target, classes - 1));
  if (shape.targets.width < 2) return;
  task_parts::check_shares(example, shape);
  for (size_t at = 0; at < example.targets.size(); at += static_cast<size_t>(classes)) {
    double sum = 0;
    for (int64_t i = 0; i < classes; ++i)
      sum += static_cast<double>(example.targets[at + static_cast<size_t>(i)]);
    if (std::abs(sum - 1) > 1e-3)
      throw UserError(fmt::format(
          "{}its targets sum to {:.6g}, but shares of classes sum to 1; for several classes at once "
          "take sigmoid_cross_entropy",
          place, sum));
  }
}

Value class_targets(Graph& graph, const DataShape& shape) {
  if (shape.targets.width == 0) return task_parts::labels_input(graph);
  const Value targets = task_parts::targets_input(graph, shape);
  if (!are_indices(shape)) return targets;
  const Shape& full = targets.shape();
  return cast(reshape(targets, Shape(full.begin(), full.end() - 1)), i32);
}

void class_truth(const data::Example& example, const DataShape& shape, int64_t frame, float* row) {
  if (shape.targets.width > 1) return task_parts::copy_truth(example, shape, frame, row);
  const auto index = are_indices(shape) ? static_cast<int64_t>(example.targets[static_cast<size_t>(frame)])
                                        : static_cast<int64_t>(example.label);
  std::fill_n(row, class_count(shape), 0.0F);
  row[index] = 1;
}

void show_classes(const Outcome& outcome, Evaluation& evaluation) {
  std::vector<int64_t> truth, said;
  double right = 0, all = 0;
  for (int64_t row = 0; row < outcome.rows; ++row) {
    const auto at = static_cast<size_t>(row * outcome.width);
    truth.push_back(place_of_largest(&outcome.truth[at], outcome.width));
    said.push_back(place_of_largest(&outcome.outputs[at], outcome.width));
    all += outcome.weights[static_cast<size_t>(row)];
    if (truth.back() == said.back()) right += outcome.weights[static_cast<size_t>(row)];
  }
  evaluation.accuracy = right / all;
  task_parts::show_confusion(truth, said, outcome.names, evaluation);
}

void describe_class(const DataShape& shape, Prediction& prediction) {
  prediction.probabilities = prediction.values;
  const auto index = static_cast<size_t>(
      place_of_largest(prediction.values.data(), static_cast<int64_t>(prediction.values.size())));
  prediction.index = static_cast<int>(index);
  prediction.label = class_names(shape)[index];
  prediction.probability = static_cast<double>(prediction.values[index]);
}

}  // namespace

LearningTask task_records::classes() {
  return {
      .name = "classes",
      .doc = "one class of several: a label, or the share of each class, for an example or for each frame",
      .check_shape = check_class_shape,
      .check_targets = check_class_targets,
      .outputs = class_count,
      .reason =
          [](const DataShape& shape) { return fmt::format("the data have {} classes", class_count(shape)); },
      .names = class_names,
      .targets = class_targets,
      .link = [](Value outputs) { return softmax(outputs); },
      .exclusive = true,
      .truth = class_truth,
      .metrics = {"accuracy"},
      .show = show_classes,
      .describe = describe_class};
}

}  // namespace lariat
