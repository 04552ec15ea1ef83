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

namespace {

// Of a model of symbols, which has one output.
void compare_symbols(const Head& head, const data::Example& example, const Prediction& prediction,
                     WorstExample& found, bool& wrong) {
  const std::vector<float>& targets = example.targets;
  const std::vector<std::string>& names = head.shape.classes;
  std::vector<int32_t> said;
  for (const std::string& symbol : prediction.symbols)
    said.push_back(static_cast<int32_t>(std::find(names.begin(), names.end(), symbol) - names.begin()) + 1);
  const std::vector<int32_t> truth(targets.begin(), targets.end());
  found.distance = static_cast<double>(errors_in(aligned(truth, said)).errors());
  found.truth = symbols_text(truth, names, head.shape.targets);
  found.said = prediction.label;
  for (std::string* text : {&found.truth, &found.said})
    if (text->empty()) *text = "nothing";
  wrong = truth != said;
}

// Of one output, that calls it by its name where there are several: what is said, what is so, and how far
// that is.
void compare(const Head& head, const data::Example& example, const Prediction& prediction,
             WorstExample& found, bool& wrong) {
  const LearningTask& task = *head.task;
  const std::vector<std::string> names = task.names(head.shape);
  const std::vector<float>& said = prediction.values;
  std::vector<float> truth(said.size());
  task.truth(head.shape.targets.columns.empty() ? example : head.targets_of(example), head.shape, 0,
             truth.data());
  std::string truth_is = truth_text(task, head.shape, names, truth),
              said_is = truth_text(task, head.shape, names, said);
  bool differs = said_is != truth_is;
  if (task.exclusive) {
    const auto place = std::max_element(said.begin(), said.end()) - said.begin();
    differs = place != std::max_element(truth.begin(), truth.end()) - truth.begin();
    said_is = fmt::format("{} ({:.0f}%)", names[static_cast<size_t>(place)],
                          100 * said[static_cast<size_t>(place)]);
  }
  wrong = wrong || differs || task.name == "numbers";
  for (size_t j = 0; j < said.size(); ++j) found.distance += std::abs(said[j] - truth[j]);
  const auto add = [&](std::string& text, const std::string& more) {
    text += (text.empty() ? "" : "; ") + (head.name.empty() ? more : head.name + " " + more);
  };
  add(found.truth, truth_is);
  add(found.said, said_is);
}

}  // namespace

std::vector<WorstExample> worst_examples(Sequential& model, const data::Dataset& dataset, size_t most,
                                         const EvaluateOptions& options) {
  if (model.shape().targets.by_frame) return {};
  const std::vector<Head>& heads = model.network().heads;
  const std::vector<Prediction> predictions = model.predict(dataset, options);
  std::vector<WorstExample> worst;
  for (size_t i = 0; i < predictions.size(); ++i) {
    WorstExample example{i, dataset.examples[i].source, {}, {}, 0};
    bool wrong = false;
    if (heads.front().task->decode != nullptr)
      compare_symbols(heads.front(), dataset.examples[i], predictions[i], example, wrong);
    else
      for (size_t h = 0; h < heads.size(); ++h)
        compare(heads[h], dataset.examples[i], heads.size() > 1 ? predictions[i].outputs[h] : predictions[i],
                example, wrong);
    if (wrong && std::isfinite(example.distance)) worst.push_back(std::move(example));
  }
  std::stable_sort(worst.begin(), worst.end(),
                   [](const WorstExample& a, const WorstExample& b) { return a.distance > b.distance; });
  if (worst.size() > most) worst.resize(most);
  return worst;
}

}  // namespace lariat
