#include "frontends/recipe/worst_examples.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lariat {

namespace {

// What a row of truth is called: classes or labels that are true, or numbers.
std::string truth_text(const LearningTask& task, const DataShape& shape,
                       const std::vector<std::string>& names, const std::vector<float>& row) {
  std::string text;
  const auto add = [&](const std::string& word) { text += (text.empty() ? "" : ", ") + word; };
  if (task.name == "numbers") {
    for (const float value : row) add(fmt::format("{:.4g}", value));
    return text;
  }
  if (task.answers != nullptr) return task.answers(shape)[row[0] > 0.5F ? 1 : 0];
  if (row.size() == 1) return row[0] > 0.5F ? names[0] : "not " + names[0];
  for (size_t i = 0; i < row.size(); ++i)
    if (row[i] > 0.5F) add(names[i]);
  return text.empty() ? "none" : text;
}

}  // namespace

std::vector<WorstExample> worst_examples(Sequential& model, const data::Dataset& dataset, size_t most,
                                         const EvaluateOptions& options) {
  const DataShape& shape = model.shape();
  const LearningTask& task = *model.network().task;
  if (shape.targets.by_frame) return {};
  const std::vector<Prediction> predictions = model.predict(dataset, options);
  const std::vector<std::string> names = task.names(shape);
  const auto width = static_cast<size_t>(task.outputs(shape));
  std::vector<WorstExample> worst;
  for (size_t i = 0; i < predictions.size(); ++i) {
    const std::vector<float>& said = predictions[i].values;
    std::vector<float> truth(width);
    task.truth(dataset.examples[i], shape, 0, truth.data());
    WorstExample example{i, dataset.examples[i].source, truth_text(task, shape, names, truth),
                         truth_text(task, shape, names, said), 0};
    if (task.exclusive) {
      const auto place = static_cast<size_t>(std::max_element(said.begin(), said.end()) - said.begin());
      example.said = fmt::format("{} ({:.0f}%)", names[place], 100 * said[place]);
    }
    for (size_t j = 0; j < width; ++j) example.distance += std::abs(said[j] - truth[j]);
    const bool wrong = task.name == "numbers" ||
                       (task.exclusive ? std::max_element(said.begin(), said.end()) - said.begin() !=
                                             std::max_element(truth.begin(), truth.end()) - truth.begin()
                                       : example.said != example.truth);
    if (wrong && std::isfinite(example.distance)) worst.push_back(std::move(example));
  }
  std::stable_sort(worst.begin(), worst.end(),
                   [](const WorstExample& a, const WorstExample& b) { return a.distance > b.distance; });
  if (worst.size() > most) worst.resize(most);
  return worst;
}

}  // namespace lariat
