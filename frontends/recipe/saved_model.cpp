#include "frontends/recipe/saved_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "frontends/data/arrays.hpp"
#include "frontends/data/npy.hpp"
#include "frontends/sequential/model_file.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

constexpr const char *mean_name = "cmvn/mean", *inverse_std_name = "cmvn/inverse_std";

FrontEnd read_front_end(const Store& store, int64_t dimensions, const std::string& file) {
  std::optional<FrontEnd> front_end;
  const std::string& options = note_of(store, "features", file);
  at_place(fmt::format("'{}': ", file), [&] {
    front_end = FrontEnd{speech::FeatureExtractor(speech::feature_option_table().from_json(options))};
  });
  if (front_end->extractor.dimensions() != dimensions)
    throw UserError(
        fmt::format("'{}': its features have {} dimensions, but its layers take {}; save the model again",
                    file, front_end->extractor.dimensions(), dimensions));
  if (front_end->extractor.options().cmvn != speech::Cmvn::global) return std::move(*front_end);
  front_end->statistics.emplace();
  for (const auto& [name, target] : {std::pair(mean_name, &front_end->statistics->mean),
                                     std::pair(inverse_std_name, &front_end->statistics->inverse_std)}) {
    const Tensor* tensor = store.find(name);
    if (tensor == nullptr)
      throw UserError(fmt::format("'{}' has no tensor '{}'; save the model again", file, name));
    const TensorType expected{f32, {dimensions}};
    if (tensor->type() != expected)
      throw UserError(
          fmt::format("'{}': tensor '{}' is {}, but its features make it {}; save the model again", file,
                      name, text(tensor->type()), text(expected)));
    const auto values = tensor->values<float>();
    target->assign(values.begin(), values.end());
  }
  return std::move(*front_end);
}

}  // namespace

void write_front_end(const FrontEnd& front_end, std::map<std::string, std::string>& notes,
                     std::map<std::string, Tensor>& tensors) {
  notes["features"] = speech::feature_option_table().to_json(front_end.extractor.options());
  if (!front_end.statistics) return;
  const auto tensor = [](const std::vector<float>& values) {
    return Tensor::of<float>({static_cast<int64_t>(values.size())}, std::span<const float>(values));
  };
  tensors[mean_name] = tensor(front_end.statistics->mean);
  tensors[inverse_std_name] = tensor(front_end.statistics->inverse_std);
}

SavedModel SavedModel::load(const std::string& file) { return of(Store::load(file), file); }

SavedModel SavedModel::of(const Store& store, const std::string& file) {
  SavedModel model(Sequential::from_store(store, file), file);
  model.notes_ = store.metadata();
  if (store.metadata().contains("recipe")) {
    const std::string& recipe = note_of(store, "recipe", file);
    at_place(fmt::format("'{}': ", file), [&] { model.recipe_ = Recipe::from_json(recipe); });
    model.model_.compile(model.recipe_->optimizer(), model.recipe_->outputs());
  }
  if (store.metadata().contains("columns")) {
    const std::string& columns = note_of(store, "columns", file);
    at_place(fmt::format("'{}': ", file), [&] { model.columns_ = data::columns_from_json(columns); });
    if (model.columns_->dimensions() != model.model_.shape().dimensions)
      throw UserError(
          fmt::format("'{}': its columns make {} features, but its layers take {}; save the model again",
                      file, model.columns_->dimensions(), model.model_.shape().dimensions));
  }
  if (store.metadata().contains("features")) {
    model.front_end_ = read_front_end(store, model.model_.shape().dimensions, file);
    if (model.recipe_) model.front_end_->views = model.recipe_->views();
  }
  return model;
}

const Recipe& SavedModel::recipe() const {
  if (!recipe_)
    throw UserError(fmt::format(
        "'{}' has no recipe: Sequential::save wrote it; give data in code, or train it by a recipe", file_));
  return *recipe_;
}

std::string SavedModel::note(const std::string& name) const {
  const auto found = notes_.find(name);
  return found == notes_.end() ? std::string() : found->second;
}

const FrontEnd& SavedModel::front_end() const {
  if (!front_end_)
    throw UserError(
        fmt::format("'{}' does not take recordings; give it data like those it was trained on", file_));
  return *front_end_;
}

const speech::FeatureOptions& SavedModel::features() const { return front_end().extractor.options(); }

EvaluateOptions SavedModel::evaluate_options(int threads) const {
  return {.time_multiple = recipe_ ? static_cast<int>(recipe_->training().time_multiple) : 1,
          .threads = threads,
          .beam = recipe_ ? recipe_->beam() : 0};
}

namespace {

// A dataset for recordings and their views.
data::Dataset with_views(const FrontEnd& front_end) {
  data::Dataset dataset;
  dataset.views.resize(front_end.views.size());
  return dataset;
}

void add_recording(const speech::Audio& audio, const FrontEnd& front_end, data::Dataset& dataset) {
  dataset.examples.push_back(front_end.example(audio));
  for (size_t i = 0; i < dataset.views.size(); ++i)
    dataset.views[i].examples.push_back(front_end.example(audio, &front_end.views[i]));
}

}  // namespace

data::Dataset SavedModel::read_recordings(const std::vector<std::string>& files,
                                          std::vector<std::string>* notices) const {
  data::Dataset dataset = with_views(front_end());
  for (const std::string& file : files)
    add_recording(speech::read_audio(file, features().sample_frequency, notices), front_end(), dataset);
  return dataset;
}

std::vector<Prediction> SavedModel::recognize(const std::vector<std::string>& files,
                                              std::vector<std::string>* notices) {
  const data::Dataset dataset = read_recordings(files, notices);
  return files.empty() ? std::vector<Prediction>() : predict(dataset);
}

Prediction SavedModel::recognize(const speech::Audio& audio) {
  data::Dataset dataset = with_views(front_end());
  add_recording(audio, front_end(), dataset);
  return predict(dataset).front();
}

std::vector<Prediction> SavedModel::predict(const data::Dataset& dataset) {
  return model_.predict(dataset, evaluate_options(0));
}

namespace {

bool takes_numbers_as_they_are(const data::Columns& columns) {
  return std::all_of(columns.features.begin(), columns.features.end(), [](const data::Columns::Feature& of) {
    return !of.is_category && of.centre == 0 && of.scale == 1;
  });
}

// "a, b, c and 4 more".
std::string some_names(const data::Columns& columns) {
  constexpr size_t most = 3;
  std::string text;
  for (size_t i = 0; i < std::min(most, columns.features.size()); ++i)
    text += (i == 0 ? "" : ", ") + columns.features[i].name;
  if (columns.features.size() > most) text += fmt::format(" and {} more", columns.features.size() - most);
  return text;
}

}  // namespace

data::Dataset SavedModel::read_rows(const std::string& file) const {
  if (is_audio()) throw UserError(fmt::format("'{}' takes recordings; give them to lariat recognize", file_));
  if (const DataKind* kind = recipe_ ? &data_kind_of(recipe_->table("data")) : nullptr;
      kind != nullptr && kind->read_file != nullptr)
    return kind->read_file(recipe_->table("data"), file);
  const std::string bytes = data::read_whole_file(file);
  if (!data::is_numpy(bytes)) {
    if (!columns_)
      throw UserError(fmt::format(
          "'{}' was not trained on a table of columns; give it an array that numpy.save wrote", file_));
    return data::dataset_of(data::parse_csv(bytes, file), *columns_, false);
  }
  if (columns_ && !takes_numbers_as_they_are(*columns_))
    throw UserError(fmt::format(
        "{}: '{}' was trained on a table, of which it standardises numbers or knows categories: an "
        "array does not say which numbers are which; give it a table with the columns {}",
        file, file_, some_names(*columns_)));
  data::Dataset dataset = data::unlabelled_arrays(bytes, file);
  if (dataset.columns.empty()) dataset.columns = model_.shape().columns;
  return dataset;
}

namespace {

// Data in which classes are missing that a model knows, with its classes.
data::Dataset with_classes(data::Dataset dataset, const std::vector<std::string>& classes) {
  std::vector<int> places;
  for (const std::string& name : dataset.classes) {
    const auto found = std::find(classes.begin(), classes.end(), name);
    if (found == classes.end()) return dataset;
    places.push_back(static_cast<int>(found - classes.begin()));
  }
  if (places.empty() || dataset.classes == classes || dataset.targets.width > 1) return dataset;
  for (data::Example& example : dataset.examples) {
    if (dataset.targets.width == 0) example.label = places.at(static_cast<size_t>(example.label));
    // Symbols are counted from 1.
    const int first = dataset.targets.symbols ? 1 : 0;
    for (float& target : example.targets)
      target =
          static_cast<float>(places.at(static_cast<size_t>(target) - static_cast<size_t>(first)) + first);
  }
  dataset.classes = classes;
  return dataset;
}

}  // namespace

data::Dataset SavedModel::load_data(const std::string& folder, data::Split split,
                                    const std::vector<std::string>& held_out) const {
  Recipe with = recipe();
  // Nothing is read because a file names it.
  if (folder.empty())
    throw UserError(
        fmt::format("there are no data to measure '{}' on; give their folder with --data", file_));
  if (!held_out.empty()) with.hold_out(held_out);
  Corpus corpus(with, folder);
  corpus.reader().set_columns(columns_);
  if (split == data::Split::validation && !corpus.validates())
    throw UserError(fmt::format(
        "'{}' was trained without validation data (data.validation = 0); take the split train or test",
        file_));
  if (!corpus.is_audio()) return with_classes(corpus.load(split), model_.shape().classes);
  data::Dataset dataset = front_end().examples(corpus.list(split), corpus.options().stream);
  skip_short(dataset, model_.layers(), model_.network().heads.front().layer);
  if (!dataset.targets.symbols) return dataset;
  for (data::Dataset& view : dataset.views) view = with_classes(std::move(view), model_.shape().classes);
  return with_classes(std::move(dataset), model_.shape().classes);
}

data::Dataset SavedModel::load_file(const std::string& file) const {
  Recipe with = recipe();
  if (is_audio() || data_kind_of(with.table("data")).form != DataForm::rows ||
      std::filesystem::is_directory(file))
    throw UserError(
        fmt::format("'{}': --split all is for one file of rows; take train, validation or test", file));
  with.set({{"data.validation", "0"}, {"data.testing", "0"}});
  Corpus corpus(with, file);
  corpus.reader().set_columns(columns_);
  return with_classes(corpus.load(data::Split::train), model_.shape().classes);
}

Evaluation SavedModel::evaluate(const data::Dataset& dataset, int threads) {
  return model_.evaluate(dataset, evaluate_options(threads));
}

}  // namespace lariat
