#include <fmt/format.h>

#include "frontends/sequential/learning_records.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// The second class is the one that is true where the target is 1.
std::vector<std::string> answers(const DataShape& shape) {
  if (!shape.classes.empty()) return shape.classes;
  const std::string& name = shape.targets.names.empty() ? "yes" : shape.targets.names.front();
  return {shape.targets.names.empty() ? "no" : "not " + name, name};
}

void check_binary_shape(const DataShape& shape, const std::string& loss) {
  const size_t classes = shape.classes.size();
  if (classes == 2 || (classes == 0 && shape.targets.width == 1)) return;
  throw UserError(
      fmt::format("{} tells two classes apart, but the data have {}; for one class of several take "
                  "softmax_cross_entropy, and for several labels at once give targets, 0 or 1 each",
                  loss, classes));
}

void check_binary_targets(const data::Example& example, const DataShape& shape) {
  if (shape.targets.width == 0 && example.label != 0 && example.label != 1)
    throw UserError(fmt::format("{}has the label {}, but the data have 2 classes; labels count from 0",
                                task_parts::place_of(example), example.label));
  task_parts::check_shares(example, shape);
}

Value binary_targets(Graph& graph, const DataShape& shape) {
  if (shape.targets.width > 0) return task_parts::targets_input(graph, shape);
  return reshape(cast(task_parts::labels_input(graph), f32), {dim::batch, 1});
}

void binary_truth(const data::Example& example, const DataShape& shape, int64_t frame, float* row) {
  *row = shape.targets.width > 0 ? example.targets[static_cast<size_t>(frame)]
                                 : static_cast<float>(example.label);
}

void show_binary(const Outcome& outcome, Evaluation& evaluation) {
  const Decisions decisions(outcome);
  std::vector<int64_t> truth, said;
  for (int64_t row = 0; row < outcome.rows; ++row) {
    truth.push_back(decisions.is(row, 0));
    said.push_back(decisions.said(row, 0));
  }
  evaluation.accuracy = weighted_mean(
      outcome, 1, [&](int64_t row, int64_t) { return decisions.is(row, 0) == decisions.said(row, 0); });
  task_parts::show_confusion(truth, said, outcome.answers, evaluation);
}

void describe_binary(const DataShape& shape, Prediction& prediction) {
  const float yes = prediction.values[0];
  prediction.index = yes > 0.5F;
  prediction.label = answers(shape)[static_cast<size_t>(prediction.index)];
  prediction.probabilities = {1 - yes, yes};
  prediction.probability =
      static_cast<double>(prediction.probabilities[static_cast<size_t>(prediction.index)]);
}

}  // namespace

LearningTask task_records::binary() {
  return {.name = "binary",
          .doc = "one of two classes, or how probable something is: one output",
          .check_shape = check_binary_shape,
          .check_targets = check_binary_targets,
          .outputs = [](const DataShape&) -> int64_t { return 1; },
          .reason = [](const DataShape&) -> std::string { return "one output tells two classes apart"; },
          .names = [](const DataShape& shape) -> std::vector<std::string> { return {answers(shape)[1]}; },
          .targets = binary_targets,
          .link = [](Value outputs) { return sigmoid(outputs); },
          .truth = binary_truth,
          .metrics = {"accuracy"},
          .show = show_binary,
          .answers = answers,
          .describe = describe_binary};
}

}  // namespace lariat
