#include "frontends/data/arrays.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "frontends/data/npy.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

// The values of row `row`, where a tensor's first axis is rows.
std::vector<float> row_of(const Tensor& tensor, int64_t row) {
  const int64_t width = tensor.count() / tensor.extents()[0];
  std::vector<float> values;
  for (int64_t i = 0; i < width; ++i) values.push_back(static_cast<float>(tensor.at(row * width + i)));
  return values;
}

constexpr double most_classes = 65536;

void add_labels(Dataset& dataset, const Tensor& targets, const std::string& name) {
  int64_t largest = 0;
  for (int64_t row = 0; row < targets.count(); ++row) {
    const double label = targets.at(row);
    if (!(label >= 0 && label < most_classes && label == std::floor(label)))
      throw UserError(
          fmt::format("{}: the label of row {} is {}; classes are whole numbers from 0", name, row, label));
    dataset.examples[static_cast<size_t>(row)].label = static_cast<int>(label);
    largest = std::max(largest, static_cast<int64_t>(label));
  }
  for (int64_t label = 0; label <= largest; ++label) dataset.classes.push_back(fmt::format("{}", label));
}

}  // namespace

Dataset dataset_of_arrays(const Tensor& features, const std::optional<Tensor>& targets, bool classes,
                          const std::string& name) {
  const Extents& shape = features.extents();
  if (shape.size() < 2 || features.count() == 0)
    throw UserError(
        fmt::format("{}: is {}; features are [rows, columns] or [rows, time, columns]", name, text(shape)));
  Dataset dataset;
  dataset.sequences = shape.size() == 3;
  const int64_t rows = shape[0], frames = dataset.sequences ? shape[1] : 1;
  for (int64_t row = 0; row < rows; ++row)
    dataset.examples.push_back({fmt::format("{}: row {}", name, row), 0, frames,
                                features.count() / rows / frames, row_of(features, row)});
  if (!targets) return dataset;
  const Extents& of = targets->extents();
  if (of.empty() || of[0] != rows || targets->count() == 0)
    throw UserError(fmt::format("{}: targets are {}, but there are {} rows; there must be some for each",
                                name, text(of), rows));
  if (classes && targets->count() == rows) {
    add_labels(dataset, *targets, name);
    return dataset;
  }
  dataset.targets.by_frame = of.size() == 3 && dataset.sequences;
  if (dataset.targets.by_frame && of[1] != frames)
    throw UserError(fmt::format("{}: targets are of {} frames, but features of {}", name, of[1], frames));
  dataset.targets.width = targets->count() / rows / (dataset.targets.by_frame ? frames : 1);
  for (int64_t row = 0; row < rows; ++row)
    dataset.examples[static_cast<size_t>(row)].targets = row_of(*targets, row);
  return dataset;
}

Dataset read_arrays(const std::string& file, bool classes) {
  const std::map<std::string, Tensor> arrays = read_npz(file);
  std::vector<std::string> names;
  for (const auto& [name, array] : arrays) names.push_back(name);
  for (const char* name : {"X", "y"})
    if (!arrays.contains(name))
      throw UserError(fmt::format("{}: holds no array '{}', but {}; save it with numpy.savez(file, X=…, y=…)",
                                  file, name, fmt::join(names, ", ")));
  Dataset dataset = dataset_of_arrays(arrays.at("X"), arrays.at("y"), classes, file);
  if (const auto weights = arrays.find("weights"); weights != arrays.end()) {
    if (weights->second.count() != static_cast<int64_t>(dataset.examples.size()))
      throw UserError(fmt::format("{}: weights are {}, but there are {} rows; there must be one for each",
                                  file, text(weights->second.extents()), dataset.examples.size()));
    for (size_t row = 0; row < dataset.examples.size(); ++row)
      dataset.examples[row].weight = static_cast<float>(weights->second.at(static_cast<int64_t>(row)));
  }
  return dataset;
}

}  // namespace lariat::data
