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

Tensor joined_columns(const std::vector<std::pair<std::string, Tensor>>& arrays, std::vector<Column>& columns,
                      const std::string& name) {
  const Extents& first = arrays.front().second.extents();
  const bool sequences = first.size() == 3;
  const size_t shared = sequences ? 2 : 1;
  int64_t rows = 1, width = 0;
  for (size_t axis = 0; axis < std::min(shared, first.size()); ++axis) rows *= first[axis];
  for (const auto& [array, tensor] : arrays) {
    const Extents& shape = tensor.extents();
    if (shape.empty() || tensor.count() == 0 || (shape.size() == 3) != sequences ||
        !std::equal(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(shared), first.begin()))
      throw UserError(
          fmt::format("{}: '{}' is {}, but '{}' is {}; all must have as many rows, and be sequences of "
                      "as many frames or none",
                      name, array, text(shape), arrays.front().first, text(first)));
    columns.push_back({array, tensor.count() / rows});
    width += columns.back().width;
  }
  Tensor joined(f32, sequences ? Extents{first[0], first[1], width} : Extents{first[0], width});
  int64_t begin = 0;
  for (size_t i = 0; i < arrays.size(); ++i) {
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t at = 0; at < columns[i].width; ++at)
        joined.data<float>()[row * width + begin + at] =
            static_cast<float>(arrays[i].second.at(row * columns[i].width + at));
    begin += columns[i].width;
  }
  return joined;
}

namespace {

// The targets y_NAME, under their names.
void add_targets(Dataset& dataset, const std::map<std::string, Tensor>& arrays,
                 const std::vector<std::string>& class_targets, const std::string& file) {
  const auto rows = static_cast<int64_t>(dataset.examples.size());
  for (const auto& [array, tensor] : arrays) {
    if (!array.starts_with("y_")) continue;
    const std::string name = array.substr(2);
    if (tensor.extents().empty() || tensor.extents()[0] != rows || tensor.count() == 0)
      throw UserError(fmt::format("{}: {} is {}, but there are {} rows; there must be some for each", file,
                                  array, text(tensor.extents()), rows));
    const int64_t width = tensor.count() / rows;
    std::vector<std::string> classes;
    if (std::find(class_targets.begin(), class_targets.end(), name) != class_targets.end()) {
      if (width != 1)
        throw UserError(fmt::format("{}: {} is {}, but classes are one number a row", file, array,
                                    text(tensor.extents())));
      Dataset labelled;
      labelled.examples.resize(static_cast<size_t>(rows));
      add_labels(labelled, tensor, file);
      classes = labelled.classes;
    }
    for (int64_t column = 0; column < width; ++column) {
      dataset.targets.names.push_back(width == 1 ? name : fmt::format("{}_{}", name, column));
      dataset.targets.classes.push_back(classes);
    }
    dataset.targets.width += width;
    for (int64_t row = 0; row < rows; ++row) {
      const std::vector<float> values = row_of(tensor, row);
      std::vector<float>& targets = dataset.examples[static_cast<size_t>(row)].targets;
      targets.insert(targets.end(), values.begin(), values.end());
    }
  }
}

}  // namespace

Dataset read_arrays(const std::string& file, bool classes, const std::vector<std::string>& class_targets) {
  const std::map<std::string, Tensor> arrays = read_npz(file);
  std::vector<std::string> names;
  std::vector<std::pair<std::string, Tensor>> inputs;
  bool named_targets = false;
  for (const auto& [name, array] : arrays) {
    names.push_back(name);
    named_targets |= name.starts_with("y_");
    if (name != "X" && name != "y" && name != "weights" && !name.starts_with("y_"))
      inputs.emplace_back(name, array);
  }
  const bool whole = arrays.contains("X");
  for (const auto& [name, missing] :
       {std::pair("X", !whole && inputs.empty()), std::pair("y", !arrays.contains("y") && !named_targets)})
    if (missing)
      throw UserError(fmt::format("{}: holds no array '{}', but {}; save it with numpy.savez(file, X=…, y=…)",
                                  file, name, fmt::join(names, ", ")));
  std::vector<Column> columns;
  const Tensor features = whole ? arrays.at("X") : joined_columns(inputs, columns, file);
  Dataset dataset = dataset_of_arrays(features, named_targets ? std::nullopt : std::optional(arrays.at("y")),
                                      classes, file);
  dataset.columns = std::move(columns);
  if (named_targets) add_targets(dataset, arrays, class_targets, file);
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
