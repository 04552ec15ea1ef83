#include "frontends/sequential/task.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "frontends/data/utf8.hpp"
#include "frontends/sequential/learning_records.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

DataShape shape_of(const data::Dataset& dataset) {
  if (dataset.examples.empty()) data::fail_without_examples(dataset);
  if (dataset.examples.front().dimensions < 1)
    throw UserError(fmt::format(
        "{}: is of {} dimensions; an example needs at least one value",
        dataset.examples.front().source.empty() ? "the first example" : dataset.examples.front().source,
        dataset.examples.front().dimensions));
  if (std::set<std::string> names; std::any_of(dataset.classes.begin(), dataset.classes.end(),
                                               [&](const auto& name) { return !names.insert(name).second; }))
    throw UserError(
        fmt::format("the dataset names one class twice: {}; name each once", join_words(dataset.classes)));
  const data::Targets& targets = dataset.targets;
  if (targets.width < 0 ||
      (!targets.names.empty() && targets.names.size() != static_cast<size_t>(targets.width)))
    throw UserError(fmt::format("the dataset names {} targets, but they are {} wide; name each, or none",
                                targets.names.size(), targets.width));
  if (targets.symbols && (targets.width != 1 || targets.by_frame || !dataset.sequences))
    throw UserError(
        dataset.sequences
            ? fmt::format("the dataset's targets are symbols of width {}{}; set width = 1{}", targets.width,
                          targets.by_frame ? ", by frame" : "", targets.by_frame ? ", by_frame = false" : "")
            : "the dataset's targets are sequences of symbols, but its examples have no time axis; set "
              "sequences = true");
  if (targets.by_frame && (!dataset.sequences || targets.width == 0))
    throw UserError(dataset.sequences
                        ? "the dataset's targets are by frame, but of width 0; say how many a frame has"
                        : "the dataset's targets are by frame, but its examples have no time axis; set "
                          "sequences = true");
  int64_t width = 0;
  for (const data::Column& column : dataset.columns) width += column.width;
  if (!dataset.columns.empty() && width != dataset.examples.front().dimensions)
    throw UserError(
        fmt::format("the dataset's columns are {} values wide, but its examples have {}; name all", width,
                    dataset.examples.front().dimensions));
  if (!dataset.target_scales.empty() && std::ssize(dataset.target_scales) != targets.width)
    throw UserError(
        fmt::format("the dataset's targets are {} wide, but {} are standardised; call standardize_targets "
                    "behind whatever "
                    "changes them",
                    targets.width, dataset.target_scales.size()));
  return {dataset.sequences, dataset.examples.front().dimensions,
          dataset.classes,   targets,
          dataset.columns,   dataset.target_scales};
}

const std::vector<LearningTask>& tasks() {
  static const std::vector<LearningTask> list = {
#define LARIAT_TASK(name) task_records::name(),
#include "task_records.inc"
#undef LARIAT_TASK
  };
  return list;
}

const LearningTask& task_named(const std::string& name) {
  std::vector<std::string> known;
  for (const LearningTask& task : tasks()) {
    if (task.name == name) return task;
    known.push_back(task.name);
  }
  throw UserError(fmt::format("there is no task '{}'.{}", name, did_you_mean(name, known)));
}

namespace task_parts {

Value targets_input(Graph& graph, const DataShape& shape) {
  const int64_t width = shape.targets.width;
  if (graph.source_id("targets") < 0)
    return graph.input(
        "targets", shape.targets.by_frame ? Shape{dim::batch, dim::time, width} : Shape{dim::batch, width});
  const Value all = graph.find_source("targets");
  const auto last = static_cast<int64_t>(all.rank()) - 1;
  std::vector<Value> columns;
  for (const int64_t column : shape.targets.columns) columns.push_back(slice(all, last, column, column + 1));
  return columns.empty() ? all : columns.size() == 1 ? columns.front() : concat(columns, last);
}

namespace {

// Numbers, [width], one of each scale.
Value of_scales(Graph& graph, const DataShape& shape, float data::TargetScale::*which) {
  std::vector<float> numbers;
  for (const data::TargetScale& scale : shape.target_scales) numbers.push_back(scale.*which);
  return graph.constant(Tensor::of<float>({std::ssize(numbers)}, std::span<const float>(numbers)));
}

}  // namespace

// (target - mean)/deviation
Value standardised(Value targets, const DataShape& shape) {
  Graph& graph = targets.graph();
  return (targets - of_scales(graph, shape, &data::TargetScale::mean)) /
         of_scales(graph, shape, &data::TargetScale::deviation);
}

// output·deviation + mean
Value in_units_of_data(Value outputs, const DataShape& shape) {
  Graph& graph = outputs.graph();
  return outputs * of_scales(graph, shape, &data::TargetScale::deviation) +
         of_scales(graph, shape, &data::TargetScale::mean);
}

Value labels_input(Graph& graph) {
  return graph.source_id("labels") < 0 ? graph.input("labels", {dim::batch}, i32)
                                       : graph.find_source("labels");
}

std::vector<std::string> target_names(const DataShape& shape) {
  if (!shape.targets.names.empty()) return shape.targets.names;
  std::vector<std::string> names;
  for (int64_t i = 0; i < shape.targets.width; ++i) names.push_back(fmt::format("{}", i));
  return names;
}

std::string place_of(const data::Example& example) {
  return (example.source.empty() ? "an example" : example.source) + ": ";
}

void check_shares(const data::Example& example, const DataShape& shape) {
  for (size_t i = 0; i < example.targets.size(); ++i)
    if (const float target = example.targets[i]; !(target >= 0 && target <= 1))
      throw UserError(fmt::format(
          "{}target {} is {}; it must be 1 where '{}' is true, 0 where not, or between", place_of(example), i,
          target, target_names(shape)[i % static_cast<size_t>(shape.targets.width)]));
}

void check_no_shares(const data::Example& example, const DataShape& shape, const std::string& loss) {
  for (size_t i = 0; i < example.targets.size(); ++i)
    if (const float target = example.targets[i]; target != 0 && target != 1)
      throw UserError(
          fmt::format("{}the target '{}' is {}, but {} learns which side of a border it is on: 1 where it is "
                      "true, 0 where not; round it, or take sigmoid_cross_entropy, which learns what lies "
                      "between",
                      place_of(example), target_names(shape)[i % static_cast<size_t>(shape.targets.width)],
                      target, loss));
}

void copy_truth(const data::Example& example, const DataShape& shape, int64_t frame, float* row) {
  std::copy_n(example.targets.begin() + frame * shape.targets.width, shape.targets.width, row);
}

void show_confusion(const std::vector<int64_t>& truth, const std::vector<int64_t>& said,
                    std::vector<std::string> names, Evaluation& evaluation) {
  evaluation.confusion.assign(names.size(), std::vector<int64_t>(names.size()));
  for (size_t i = 0; i < truth.size(); ++i)
    ++evaluation.confusion[static_cast<size_t>(truth[i])][static_cast<size_t>(said[i])];
  evaluation.confusion_names = std::move(names);
}

}  // namespace task_parts

}  // namespace lariat
