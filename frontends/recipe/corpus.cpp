#include "frontends/recipe/corpus.hpp"

#include <fmt/format.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <filesystem>

#include "frontends/data/arrays.hpp"
#include "frontends/data/idx.hpp"
#include "frontends/data/random.hpp"
#include "frontends/speech/digits.hpp"
#include "frontends/speech/labelled_folders.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"

namespace lariat {

using data::Split;

Corpus::Corpus(const Recipe& recipe, const std::string& folder)
    : options_(recipe.data()),
      kind_(recipe.table("data").kind),
      audio_(lariat::is_audio(recipe.table("data"))) {
  DataShape shape;
  options_.target = recipe.targets();
  const std::vector<ModelOutput> outputs = recipe.outputs();
  for (const ModelOutput& output : outputs) {
    std::vector<std::string> learned = output.targets;
    if (learned.empty() && outputs.size() > 1) learned = {output.layer};
    shape.targets.width = static_cast<int64_t>(learned.empty() ? options_.target.size() : learned.size());
    task_ = output.loss.task(shape);
    classes_ = task_ == "classes" || task_ == "binary";
    if (classes_ && learned.size() == 1) class_targets_.push_back(learned.front());
  }
  if (!options_.positive.empty() && !classes_)
    throw UserError(
        fmt::format("[data] positive = {}: has no effect with [loss] kind = {}, which learns {}; take "
                    "sigmoid_cross_entropy, or leave it out",
                    data::shortened(options_.positive), recipe.loss().name, task_));
  if (!folder.empty()) options_.path = folder;
  if (options_.path.empty())
    throw UserError("there are no data; give their folder, or set path in the recipe's [data]");
}

Corpus::Corpus(const Recipe& recipe, const std::string& folder, const std::optional<data::FoldChoice>& fold)
    : Corpus(recipe, folder) {
  fold_ = fold;
  if (fold_) options_.validation_count = 0, options_.validation_percentage = 0;
}

namespace {

std::vector<std::string> endings_of(const std::string& kind) {
  return kind == "csv" ? std::vector<std::string>{".csv", ".tsv"} : std::vector<std::string>{".npz"};
}

}  // namespace

bool Corpus::holds(const std::string& file) const {
  std::error_code none;
  if (!std::filesystem::is_regular_file(file, none)) return false;
  const std::filesystem::path path = std::filesystem::canonical(file, none),
                              folder = std::filesystem::canonical(options_.path, none);
  if (none || std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first != folder.end())
    return false;
  if (kind_ == "csv" || kind_ == "numpy") {
    const std::vector<std::string> endings = endings_of(kind_);
    return is_one_file() ||
           std::find(endings.begin(), endings.end(), path.extension().string()) != endings.end();
  }
  return is_audio() ? speech::is_audio_file(file)
                    : path.filename().string().find("-ubyte") != std::string::npos;
}

namespace {

// Makes a yes or no of a class, where one is told from all others.
void label_positive(const std::string& positive, data::Dataset& dataset) {
  if (positive.empty()) return;
  const int place = data::keep_one_class(dataset.classes, positive);
  for (data::Example& example : dataset.examples) example.label = example.label == place;
}

}  // namespace

speech::ClipList Corpus::list(Split split) const {
  if (!fold_ || split == Split::test) return list_whole(split);
  speech::ClipList list = list_whole(Split::train);
  std::vector<int64_t> labels;
  for (const auto& entry : list.entries) labels.push_back(entry.label);
  const data::FoldParts parts =
      data::parts_of(data::fold_numbers(labels, list.classes, fold_->count, fold_->seed), fold_->index);
  std::vector<speech::ClipList::Entry> entries;
  for (const int64_t number : split == Split::train ? parts.fitted : parts.held_out)
    entries.push_back(list.entries[static_cast<size_t>(number)]);
  list.entries = std::move(entries);
  return list;
}

speech::ClipList Corpus::list_whole(Split split) const {
  speech::ClipList list = all_clips(split);
  if (options_.positive.empty()) return list;
  const int place = data::keep_one_class(list.classes, options_.positive);
  for (auto& entry : list.entries) entry.label = entry.label == place;
  return list;
}

speech::ClipList Corpus::all_clips(Split split) const {
  if (kind_ != "folders") {
    return speech::list_digits(options_.path, split,
                               {options_.held_out, static_cast<int>(options_.validation_count)});
  }
  const speech::LabelledFoldersOptions folders{options_.testing, options_.validation_percentage,
                                               options_.labels};
  speech::ClipList list = speech::list_labelled_folders(options_.path, split, folders);
  // A corpus that brings its own list holds its validation clips back even where nobody validates.
  const bool listed = std::filesystem::exists(std::filesystem::path(options_.path) / "validation_list.txt");
  if (split == Split::train && listed && !validates()) {
    const speech::ClipList more = speech::list_labelled_folders(options_.path, Split::validation, folders);
    list.entries.insert(list.entries.end(), more.entries.begin(), more.entries.end());
    std::sort(list.entries.begin(), list.entries.end(),
              [](const auto& a, const auto& b) { return a.file < b.file; });
  }
  return list;
}

namespace {

// The file of a split in a folder, "" where there is none.
std::string file_of(const std::string& folder, Split split, const std::vector<std::string>& endings) {
  for (const std::string& ending : endings)
    if (const auto file = std::filesystem::path(folder) / (std::string(data::name_of(split)) + ending);
        std::filesystem::exists(file))
      return file.string();
  return {};
}

}  // namespace

bool Corpus::is_one_file() const {
  return (kind_ == "csv" || kind_ == "numpy") && !std::filesystem::is_directory(options_.path);
}

bool Corpus::validates() const {
  if (fold_) return true;
  if (kind_ != "csv" && kind_ != "numpy") return options_.validates();
  return is_one_file() ? options_.validates()
                       : !file_of(options_.path, Split::validation, endings_of(kind_)).empty();
}

data::Dataset Corpus::load(Split split) {
  if (!fold_ || split == Split::test) return load_whole(split);
  if (kind_ == "csv") {
    const std::string file =
        is_one_file() ? options_.path : file_of(options_.path, Split::train, endings_of(kind_));
    if (!file.empty()) {
      data::Dataset dataset =
          fold_of_table(table(file, is_one_file() ? std::optional(Split::train) : std::nullopt), split);
      label_positive(options_.positive, dataset);
      return dataset;
    }
  }
  data::TwoSets sets = data::fold_of(load_whole(Split::train), *fold_);
  return split == Split::train ? std::move(sets.fitted) : std::move(sets.held_out);
}

data::Dataset Corpus::load_whole(Split split) {
  data::Dataset dataset = all_examples(split);
  label_positive(options_.positive, dataset);
  return dataset;
}

data::Dataset Corpus::all_examples(Split split) {
  if (kind_ == "idx") return data::load_idx(options_.path, split, options_.validation_count);
  // What the columns and the classes are is said by the rows to train on.
  const bool unknown = kind_ == "csv" ? !columns_ : array_classes_.empty() && classes_;
  if (unknown && split != Split::train) load(Split::train);
  if (is_one_file()) return rows(options_.path, split);
  const std::string file = file_of(options_.path, split, endings_of(kind_));
  if (file.empty()) {
    const std::string ending = endings_of(kind_).front();
    throw UserError(fmt::format("'{}' holds no {}{}; name a file, or a folder that holds train{} and test{}",
                                options_.path, data::name_of(split), ending, ending, ending));
  }
  return rows(file, std::nullopt);
}

namespace {

data::TextTable chosen_lines(const data::TextTable& all, const std::vector<int64_t>& numbers) {
  data::TextTable table{all.file, all.names, {}, {}};
  for (const int64_t number : numbers) {
    table.rows.push_back(all.rows[static_cast<size_t>(number)]);
    table.lines.push_back(all.lines[static_cast<size_t>(number)]);
  }
  return table;
}

// Whether a row is of that split, where one file holds all.
bool is_of(const DataOptions& options, size_t row, std::optional<Split> split) {
  if (!split) return true;
  data::RandomStream random(0, data::RandomPurpose::folds, static_cast<uint32_t>(row));
  const double place = random.uniform(0, 100);
  const Split found = place < options.testing                                   ? Split::test
                      : place < options.testing + options.validation_percentage ? Split::validation
                                                                                : Split::train;
  return found == *split;
}

}  // namespace

data::TextTable Corpus::table(const std::string& file, std::optional<Split> split) const {
  const data::TextTable all = data::read_csv(file);
  std::vector<int64_t> numbers;
  for (size_t row = 0; row < all.rows.size(); ++row)
    if (is_of(options_, row, split)) numbers.push_back(static_cast<int64_t>(row));
  return chosen_lines(all, numbers);
}

data::ColumnOptions Corpus::column_options() const {
  return {options_.target, options_.features, options_.categories, options_.weight,
          classes_,        class_targets_,    options_.standardize};
}

// What is a category and which there are is said by all rows, since a fold may lack a rare one; means and
// deviations by the rows to train on.
data::Dataset Corpus::fold_of_table(const data::TextTable& all, Split part) {
  const data::Columns whole = data::columns_of(all, column_options());
  const data::Dataset rows = data::dataset_of(all, whole);
  std::vector<int64_t> present;
  for (size_t row = 0, example = 0; row < all.rows.size() && example < rows.examples.size(); ++row)
    if (rows.examples[example].source == all.place(row))
      present.push_back(static_cast<int64_t>(row)), ++example;
  require(present.size() == rows.examples.size(), "an example is named by its row");
  const data::FoldParts parts =
      data::parts_of(data::fold_numbers(rows, fold_->count, fold_->seed), fold_->index);
  const auto lines_of = [&](std::vector<int64_t> numbers) {
    for (int64_t& number : numbers) number = present[static_cast<size_t>(number)];
    return chosen_lines(all, numbers);
  };
  const data::TextTable fitted = lines_of(parts.fitted);
  columns_ = data::with_numbers_of(whole, fitted, options_.standardize);
  return data::dataset_of(part == Split::train ? fitted : lines_of(parts.held_out), *columns_);
}

data::Dataset Corpus::rows(const std::string& file, std::optional<Split> split) {
  data::Dataset dataset;
  if (kind_ == "csv") {
    const data::TextTable some = table(file, split);
    if (!columns_) columns_ = data::columns_of(some, column_options());
    dataset = data::dataset_of(some, *columns_);
  } else {
    dataset = data::read_arrays(file, classes_, class_targets_);
    if (array_classes_.empty()) array_classes_ = dataset.classes;
    if (dataset.classes.size() < array_classes_.size() && !dataset.classes.empty())
      dataset.classes = array_classes_;
    std::vector<data::Example> chosen;
    for (size_t row = 0; row < dataset.examples.size(); ++row)
      if (is_of(options_, row, split)) chosen.push_back(std::move(dataset.examples[row]));
    dataset.examples = std::move(chosen);
  }
  if (dataset.examples.empty())
    throw UserError(fmt::format("{}: has no rows to {}; it needs more, or another share of them", file,
                                !split || *split == Split::train ? "train on"
                                : *split == Split::test          ? "test on"
                                                                 : "validate on"));
  return dataset;
}

data::Dataset FrontEnd::examples(const speech::ClipSet& clips,
                                 const speech::Augmentation* augmentation) const {
  return speech::make_dataset(clips, extractor, statistics ? &*statistics : nullptr, augmentation);
}

void skip_short(data::Dataset& dataset, int64_t frames) {
  const auto is_short = [&](const data::Example& example) {
    return dataset.sequences && example.frames < frames;
  };
  for (const data::Example& example : dataset.examples)
    if (is_short(example))
      dataset.skipped.push_back(
          fmt::format("{}: is of {} frames, but the model needs {}", example.source, example.frames, frames));
  std::erase_if(dataset.examples, is_short);
  if (dataset.examples.empty())
    throw UserError(fmt::format("no clip is long enough; the first: {}", dataset.skipped.back()));
}

void with_threads(int threads, const std::function<void()>& action) {
  const int count = threads > 0 ? threads : available_threads();
  const tbb::global_control allowed(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(count));
  tbb::task_arena(count).execute(action);
}

}  // namespace lariat
