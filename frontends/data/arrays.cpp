#include "frontends/data/arrays.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>

#include "frontends/data/npy.hpp"
#include "frontends/data/numbers.hpp"
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

// Names the classes up to the largest of `targets`, of which each row has `each`.
void name_classes(Dataset& dataset, const Tensor& targets, int64_t each, const std::string& name) {
  double largest = 0;
  bool signs = true;
  for (int64_t i = 0; i < targets.count() && signs; ++i) signs = std::abs(targets.at(i)) == 1;
  for (int64_t i = 0; i < targets.count(); ++i) {
    const double label = targets.at(i);
    if (signs && label == -1)
      throw UserError(
          fmt::format("{}: the labels are -1 and 1, but classes are counted from 0; write 0 for -1", name));
    if (!(label >= 0 && label < most_classes && label == std::floor(label)))
      throw UserError(fmt::format("{}: the label of row {} is {}; classes are whole numbers from 0 to {:.0f}",
                                  name, i / each, label, most_classes - 1));
    largest = std::max(largest, label);
  }
  for (int label = 0; label <= static_cast<int>(largest); ++label)
    dataset.classes.push_back(fmt::format("{}", label));
}

void add_labels(Dataset& dataset, const Tensor& targets, const std::string& name) {
  name_classes(dataset, targets, 1, name);
  for (int64_t row = 0; row < targets.count(); ++row)
    dataset.examples[static_cast<size_t>(row)].label = static_cast<int>(targets.at(row));
}

bool are_whole(const Tensor& targets) {
  for (int64_t i = 0; i < targets.count(); ++i)
    if (targets.at(i) != std::floor(targets.at(i))) return false;
  return true;
}

// Whether numbers [rows, width] are zeros with one 1 in each row.
bool has_single_ones(const Tensor& targets, int64_t width) {
  for (int64_t begin = 0; begin < targets.count(); begin += width) {
    int64_t ones = 0;
    for (int64_t i = begin; i < begin + width; ++i) {
      if (targets.at(i) != 0 && targets.at(i) != 1) return false;
      ones += targets.at(i) == 1;
    }
    if (ones != 1) return false;
  }
  return true;
}

}  // namespace

namespace {

// Examples of rows of such extents, without values.
Dataset empty_rows(const Extents& shape, const std::string& name) {
  if (shape.size() < 2 || element_count(shape) == 0)
    throw UserError(
        fmt::format("{}: is {}; features are [rows, columns] or [rows, time, columns]", name, text(shape)));
  Dataset dataset;
  dataset.sequences = shape.size() == 3;
  const int64_t rows = shape[0], frames = dataset.sequences ? shape[1] : 1;
  const int64_t dimensions = element_count(shape) / rows / frames;
  for (int64_t row = 0; row < rows; ++row)
    dataset.examples.push_back({fmt::format("{}: row {}", name, row), 0, frames, dimensions, {}});
  return dataset;
}

// Of numbers to learn, [rows, …, width].
void note_lost_digits(Dataset& dataset, const Tensor& targets, int64_t width,
                      const std::vector<std::string>& names) {
  LostDigits digits;
  for (int64_t i = 0; i < targets.count(); ++i) digits.look(static_cast<size_t>(i % width), targets.at(i));
  const std::vector<std::string> lines = digits.notices(names);
  dataset.notices.insert(dataset.notices.end(), lines.begin(), lines.end());
}

void add_targets(Dataset& dataset, const Tensor& targets, bool classes, const std::string& name) {
  const Extents& of = targets.extents();
  const auto rows = static_cast<int64_t>(dataset.examples.size());
  const int64_t frames = dataset.examples.front().frames;
  if (of.empty() || of[0] != rows || targets.count() == 0)
    throw UserError(fmt::format("{}: targets are {}, but there are {} rows; there must be some for each",
                                name, text(of), rows));
  if (classes && targets.count() == rows) return add_labels(dataset, targets, name);
  // Whole numbers [rows, frames] are a class for each frame, unless they are the one class of each row.
  const bool by_frame = dataset.sequences && of.size() == 3,
             frame_labels = classes && dataset.sequences && of.size() == 2 && of[1] == frames &&
                            are_whole(targets) && !has_single_ones(targets, frames);
  if (by_frame && of[1] != frames)
    throw UserError(fmt::format("{}: targets are of {} frames, but features of {}", name, of[1], frames));
  dataset.targets.by_frame = by_frame || frame_labels;
  dataset.targets.width = targets.count() / rows / (dataset.targets.by_frame ? frames : 1);
  if (classes && dataset.targets.by_frame && dataset.targets.width == 1)
    name_classes(dataset, targets, frames, name);
  for (int64_t row = 0; row < rows; ++row)
    dataset.examples[static_cast<size_t>(row)].targets = row_of(targets, row);
  if (!classes) note_lost_digits(dataset, targets, dataset.targets.width, {});
}

}  // namespace

Dataset dataset_of_arrays(const Tensor& features, const std::optional<Tensor>& targets, bool classes,
                          const std::string& name) {
  Dataset dataset = empty_rows(features.extents(), name);
  for (size_t row = 0; row < dataset.examples.size(); ++row)
    dataset.examples[row].values = row_of(features, static_cast<int64_t>(row));
  if (targets) add_targets(dataset, *targets, classes, name);
  return dataset;
}

namespace {

// Throws where arrays cannot lie side by side; gives the columns that they are, and their extents together.
Extents joined_extents(const std::vector<std::pair<std::string, Extents>>& arrays,
                       std::vector<Column>& columns, const std::string& name) {
  const auto sequence =
      std::find_if(arrays.begin(), arrays.end(), [](const auto& array) { return array.second.size() == 3; });
  const bool sequences = sequence != arrays.end();
  const auto& [first_name, first] = sequences ? *sequence : arrays.front();
  int64_t width = 0;
  for (const auto& [array, shape] : arrays) {
    // Beside sequences, what is [rows, width] holds for all frames.
    const bool by_frame = shape.size() == 3;
    if (shape.empty() || element_count(shape) == 0 || shape[0] != first[0] ||
        (by_frame ? shape[1] != first[1] : sequences && shape.size() != 2))
      throw UserError(
          fmt::format("{}: '{}' is {}, but '{}' is {}; all must have as many rows, and be sequences of "
                      "as many frames or none",
                      name, array, text(shape), first_name, text(first)));
    columns.push_back({array, element_count(shape) / (by_frame ? first[0] * first[1] : first[0])});
    width += columns.back().width;
  }
  return sequences ? Extents{first[0], first[1], width} : Extents{first[0], width};
}

// Rows of arrays that lie side by side.
class StoredRows : public Source {
 public:
  explicit StoredRows(std::vector<NpyRows> arrays) : arrays_(std::move(arrays)) {}
  void read(int64_t number, std::span<float> values) const override {
    float* to = values.data();
    // Of a sequence that ends early, fewer than the arrays have.
    for (int64_t frame = 0; to != values.data() + values.size(); ++frame)
      for (const NpyRows& array : arrays_) {
        const bool by_frame = array.extents().size() == 3;
        const int64_t width = by_frame ? array.extents()[2] : array.width();
        array.read(number, to, by_frame ? frame * width : 0, width);
        to += width;
      }
  }

 private:
  std::vector<NpyRows> arrays_;
};

}  // namespace

Tensor joined_columns(const std::vector<std::pair<std::string, Tensor>>& arrays, std::vector<Column>& columns,
                      const std::string& name) {
  std::vector<std::pair<std::string, Extents>> shapes;
  for (const auto& [array, tensor] : arrays) shapes.emplace_back(array, tensor.extents());
  Tensor joined(f32, joined_extents(shapes, columns, name));
  const int64_t rows = joined.count() / joined.extents().back(), width = joined.extents().back();
  int64_t begin = 0;
  for (size_t i = 0; i < arrays.size(); ++i) {
    // So many rows are one of this array.
    const int64_t repeated = rows * columns[i].width / arrays[i].second.count();
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t at = 0; at < columns[i].width; ++at)
        joined.data<float>()[row * width + begin + at] =
            static_cast<float>(arrays[i].second.at(row / repeated * columns[i].width + at));
    begin += columns[i].width;
  }
  return joined;
}

namespace {

// The targets y_NAME, under their names.
void add_named_targets(Dataset& dataset, const std::map<std::string, Tensor>& arrays,
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
    if (classes.empty())
      note_lost_digits(dataset, tensor, width,
                       {dataset.targets.names.end() - width, dataset.targets.names.end()});
    for (int64_t row = 0; row < rows; ++row) {
      const std::vector<float> values = row_of(tensor, row);
      std::vector<float>& targets = dataset.examples[static_cast<size_t>(row)].targets;
      targets.insert(targets.end(), values.begin(), values.end());
    }
  }
}

// Ends each row's sequence, and what is learned of its frames, where `lengths` says.
void apply_lengths(Dataset& dataset, const Tensor& lengths, const std::string& file) {
  const auto rows = static_cast<int64_t>(dataset.examples.size());
  const int64_t frames = dataset.examples.front().frames;
  if (!dataset.sequences)
    throw UserError(
        fmt::format("{}: lengths have no effect on rows without a time axis; leave them out", file));
  if (lengths.count() != rows)
    throw UserError(fmt::format("{}: lengths are {}, but there are {} rows; there must be one for each", file,
                                text(lengths.extents()), rows));
  for (int64_t row = 0; row < rows; ++row) {
    const double length = lengths.at(row);
    if (!(length >= 1 && length <= static_cast<double>(frames) && length == std::floor(length)))
      throw UserError(fmt::format("{}: the length of row {} is {}; lengths are whole numbers from 1 to {}",
                                  file, row, length, frames));
    Example& example = dataset.examples[static_cast<size_t>(row)];
    example.frames = static_cast<int64_t>(length);
    if (!example.stored) example.values.resize(static_cast<size_t>(example.frames * example.dimensions));
    if (dataset.targets.by_frame)
      example.targets.resize(static_cast<size_t>(example.frames * dataset.targets.width));
  }
}

// Arrays by name: those of an archive, or the files NAME.npy of a folder.
class NamedArrays {
 public:
  // The bytes of an archive.
  NamedArrays(std::string bytes, std::string name)
      : place_(std::move(name)), is_folder_(false), content_(std::move(bytes)) {}
  NamedArrays(const std::string& place, bool streamed)
      : place_(place), is_folder_(std::filesystem::is_directory(place)) {
    if (is_folder_) return;
    if (streamed) {
      mapped_.emplace(place);
    } else {
      content_ = read_whole_file(place);
    }
  }

  std::vector<std::string> names() const {
    if (!is_folder_) return names_in_npz(bytes(), place_);
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(place_))
      if (entry.path().extension() == ".npy") names.push_back(entry.path().stem().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  std::map<std::string, Tensor> read(const std::function<bool(const std::string& name)>& wanted) const {
    if (!is_folder_) return parse_npz(bytes(), place_, wanted);
    std::map<std::string, Tensor> arrays;
    for (const std::string& name : names())
      if (wanted(name)) arrays.emplace(name, read_npy(file_of(name)));
    return arrays;
  }
  std::map<std::string, NpyRows> stored(const std::vector<std::string>& names) const {
    if (!is_folder_) return stored_npz(place_, names);
    std::map<std::string, NpyRows> arrays;
    for (const std::string& name : names) {
      const std::string file = file_of(name);
      arrays.emplace(
          name, NpyRows(std::make_shared<const RandomFile>(file), 0, std::filesystem::file_size(file), file));
    }
    return arrays;
  }
  bool is_archive() const { return !is_folder_; }
  // How arrays that are missing are saved.
  std::string advice() const {
    return is_folder_ ? "save X.npy and y.npy there by numpy.save"
                      : "save it with numpy.savez(file, X=…, y=…), or y_NAME=… for each of several outputs";
  }

 private:
  std::string_view bytes() const { return mapped_ ? mapped_->bytes() : content_; }
  std::string file_of(const std::string& name) const {
    return (std::filesystem::path(place_) / (name + ".npy")).string();
  }

  std::string place_;
  bool is_folder_;
  std::string content_;
  std::optional<MappedFile> mapped_;
};

// Without `labelled` nothing need be said of what is learned.
Dataset dataset_of_named(const NamedArrays& named, const std::string& file, bool classes,
                         const std::vector<std::string>& class_targets, bool streamed, bool labelled,
                         bool symbols = false) {
  const std::vector<std::string> names = named.names();
  const auto is_target = [](const std::string& name) {
    return name == "y" || name == "weights" || name.starts_with("y_");
  };
  std::vector<std::string> inputs;
  bool named_targets = false, whole = false, one_target = false;
  for (const std::string& name : names) {
    named_targets |= name.starts_with("y_");
    whole |= name == "X";
    one_target |= name == "y";
    if (name != "X" && name != "lengths" && !is_target(name)) inputs.push_back(name);
  }
  // As other programs name the parts of a data set: what is learned there would be an output "train".
  static const std::set<std::string> parts{"X_train", "x_train", "X_test", "x_test"};
  if (const auto part = std::find_if(names.begin(), names.end(),
                                     [](const std::string& name) { return parts.contains(name); });
      part != names.end() && named.is_archive())
    throw UserError(fmt::format(
        "{}: holds {}: save each part of the data in a file of its own, as numpy.savez('train.npz', "
        "X=x_train, y=y_train) and test.npz in one folder",
        file, fmt::join(names, ", ")));
  if (whole && !inputs.empty() && named.is_archive())
    throw UserError(
        fmt::format("{}: holds X, and beside it '{}', which is none of y, y_NAME, weights and "
                    "lengths; leave one of the two out",
                    file, inputs.front()));
  for (const auto& [name, missing] :
       {std::pair("X", !whole && inputs.empty()), std::pair("y", labelled && !one_target && !named_targets)})
    if (missing)
      throw UserError(fmt::format("{}: holds no array '{}', but {}; {}", file, name, fmt::join(names, ", "),
                                  named.advice()));
  if (whole) inputs = {"X"};
  std::vector<Column> columns;
  Dataset dataset;
  if (streamed) {
    const std::map<std::string, NpyRows> stored = named.stored(inputs);
    std::vector<std::pair<std::string, Extents>> shapes;
    std::vector<NpyRows> arrays;
    for (const std::string& name : inputs) {
      shapes.emplace_back(name, stored.at(name).extents());
      arrays.push_back(stored.at(name));
    }
    dataset = empty_rows(whole ? shapes.front().second : joined_extents(shapes, columns, file), file);
    const auto source = std::make_shared<const StoredRows>(std::move(arrays));
    for (size_t row = 0; row < dataset.examples.size(); ++row) {
      dataset.examples[row].stored = source;
      dataset.examples[row].number = static_cast<int64_t>(row);
    }
  } else {
    std::map<std::string, Tensor> read = named.read([&](const std::string& name) {
      return std::find(inputs.begin(), inputs.end(), name) != inputs.end();
    });
    std::vector<std::pair<std::string, Tensor>> arrays(read.begin(), read.end());
    dataset = dataset_of_arrays(whole ? read.at("X") : joined_columns(arrays, columns, file), std::nullopt,
                                classes, file);
  }
  const std::map<std::string, Tensor> targets =
      named.read([&](const std::string& name) { return name == "lengths" || (labelled && is_target(name)); });
  if (symbols && named_targets)
    throw UserError(
        fmt::format("{}: holds y_NAME, but sequences of symbols are y alone; save them as y", file));
  if (labelled && !named_targets)
    symbols ? add_symbols(dataset, targets.at("y"), file)
            : add_targets(dataset, targets.at("y"), classes, file);
  dataset.columns = std::move(columns);
  if (labelled && named_targets) add_named_targets(dataset, targets, class_targets, file);
  if (const auto lengths = targets.find("lengths"); lengths != targets.end())
    apply_lengths(dataset, lengths->second, file);
  if (const auto weights = targets.find("weights"); weights != targets.end()) {
    if (weights->second.count() != static_cast<int64_t>(dataset.examples.size()))
      throw UserError(fmt::format("{}: weights are {}, but there are {} rows; there must be one for each",
                                  file, text(weights->second.extents()), dataset.examples.size()));
    for (size_t row = 0; row < dataset.examples.size(); ++row)
      dataset.examples[row].weight = static_cast<float>(weights->second.at(static_cast<int64_t>(row)));
  }
  return dataset;
}

}  // namespace

Dataset read_arrays(const std::string& file, bool classes, const std::vector<std::string>& class_targets,
                    bool streamed) {
  return dataset_of_named(NamedArrays(file, streamed), file, classes, class_targets, streamed, true);
}

Dataset read_sequences(const std::string& file, bool streamed) {
  return dataset_of_named(NamedArrays(file, streamed), file, false, {}, streamed, true, true);
}

Dataset dataset_of_sequences(const Tensor& features, const std::optional<Tensor>& lengths,
                             const Tensor& symbols, const std::string& name) {
  Dataset dataset = dataset_of_arrays(features, std::nullopt, false, name);
  add_symbols(dataset, symbols, name);
  if (lengths) apply_lengths(dataset, *lengths, name);
  return dataset;
}

bool has_shares(const std::string& file) {
  const std::map<std::string, Tensor> read =
      NamedArrays(file, true).read([](const std::string& name) { return name == "y"; });
  const auto found = read.find("y");
  if (found == read.end() || found->second.extents().empty() || are_whole(found->second)) return false;
  const Tensor& y = found->second;
  for (int64_t i = 0; i < y.count(); ++i)
    if (!(y.at(i) >= 0 && y.at(i) <= 1)) return false;
  return y.count() == y.extents()[0];
}

Dataset unlabelled_arrays(std::string bytes, const std::string& name) {
  if (bytes.starts_with("\x93NUMPY"))
    return dataset_of_arrays(parse_npy(bytes, name), std::nullopt, false, name);
  return dataset_of_named(NamedArrays(std::move(bytes), name), name, false, {}, false, false);
}

}  // namespace lariat::data
