#include "frontends/sequential/evaluation.hpp"

#include <algorithm>
#include <limits>

namespace lariat {

ExampleRows::ExampleRows(const data::Dataset& dataset, bool by_frame) : first_{0} {
  for (const data::Example& example : dataset.examples)
    first_.push_back(first_.back() + (by_frame ? example.frames : 1));
}

void ExampleRows::put(const data::Batch& batch, const Tensor& values, std::vector<float>& rows) const {
  const int64_t width = values.extents().size() < 2 ? 1 : values.extents().back();
  const int64_t stride = values.count() / values.extents().front();
  rows.resize(static_cast<size_t>(count() * width));
  for (size_t i = 0; i < batch.indices.size(); ++i) {
    const auto example = static_cast<size_t>(batch.indices[i]);
    std::copy_n(values.data<float>() + static_cast<int64_t>(i) * stride, count_of(example) * width,
                rows.begin() + first(example) * width);
  }
}

Outcome outcome_of(const LearningTask& task, const DataShape& shape, const data::Dataset& dataset,
                   std::vector<float> outputs) {
  Outcome outcome;
  outcome.width = task.outputs(shape);
  outcome.outputs = std::move(outputs);
  outcome.rows = static_cast<int64_t>(outcome.outputs.size()) / outcome.width;
  outcome.truth.resize(outcome.outputs.size());
  outcome.names = task.names(shape);
  outcome.exclusive = task.exclusive;
  const ExampleRows rows(dataset, shape.targets.by_frame);
  for (size_t i = 0; i < dataset.examples.size(); ++i)
    for (int64_t frame = 0; frame < rows.count_of(i); ++frame) {
      task.truth(dataset.examples[i], shape, frame, &outcome.truth[outcome.weights.size() * outcome.width]);
      outcome.weights.push_back(static_cast<double>(dataset.examples[i].weight));
    }
  return outcome;
}

namespace {

double weighted_sum(const std::vector<float>& values, const data::Dataset& dataset) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i)
    sum += static_cast<double>(dataset.examples[i].weight) * static_cast<double>(values[i]);
  return sum;
}

std::vector<ClassScores> scores_by_class(const Outcome& outcome) {
  const auto ratio = [](double part, double all) { return all > 0 ? part / all : 0; };
  std::vector<ClassScores> scores;
  const std::vector<Counts> counts = counts_by_column(outcome);
  for (size_t i = 0; i < counts.size(); ++i)
    scores.push_back(
        {outcome.names[i], ratio(counts[i].right, counts[i].right + counts[i].false_alarms),
         ratio(counts[i].right, counts[i].truly()),
         ratio(2 * counts[i].right, counts[i].truly() + counts[i].right + counts[i].false_alarms),
         counts[i].truly()});
  return scores;
}

}  // namespace

Evaluation evaluation_of(const Network& network, const DataShape& shape, const std::vector<Metric>& metrics,
                         const data::Dataset& dataset, std::vector<float> outputs,
                         const std::vector<float>& losses,
                         const std::vector<std::vector<float>>& example_metrics) {
  const Outcome outcome = outcome_of(*network.task, shape, dataset, std::move(outputs));
  Evaluation evaluation;
  evaluation.examples = static_cast<int64_t>(dataset.examples.size());
  // As training makes it small: a mean over examples, each times its weight. Metrics are means over weights.
  evaluation.loss = weighted_sum(losses, dataset) / static_cast<double>(evaluation.examples);
  size_t next = 0;
  for (const Metric& metric : metrics) {
    if (metric.over_data) {
      const MetricValues values = metric.over_data(outcome);
      evaluation.metrics.insert(evaluation.metrics.end(), values.begin(), values.end());
    } else if (metric.per_example) {
      const std::vector<float> ones(dataset.examples.size(), 1);
      evaluation.metrics.emplace_back(
          metric.name, weighted_sum(example_metrics[next], dataset) / weighted_sum(ones, dataset));
    }
    if (metric.per_example) ++next;
  }
  if (network.task->name != "numbers") evaluation.by_class = scores_by_class(outcome);
  network.task->show(outcome, evaluation);
  return evaluation;
}

std::vector<Prediction> predictions_of(const LearningTask& task, const DataShape& shape,
                                       const ExampleRows& rows, const std::vector<float>& values,
                                       bool plain) {
  const int64_t width = task.outputs(shape);
  std::vector<Prediction> predictions;
  for (size_t i = 0; i < rows.examples(); ++i) {
    Prediction prediction;
    const auto begin = values.begin() + rows.first(i) * width;
    prediction.values.assign(begin, begin + rows.count_of(i) * width);
    if (shape.targets.by_frame) prediction.frames = rows.count_of(i);
    if (plain || shape.targets.by_frame) {
      prediction.index = -1;
      prediction.probability = std::numeric_limits<double>::quiet_NaN();
    } else {
      task.describe(shape, prediction);
    }
    predictions.push_back(std::move(prediction));
  }
  return predictions;
}

}  // namespace lariat
