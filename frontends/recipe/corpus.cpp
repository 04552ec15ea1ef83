#include "frontends/recipe/corpus.hpp"

#include <fmt/format.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "frontends/sequential/evaluation.hpp"
#include "frontends/sequential/wiring.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"

namespace lariat {

using data::Split;

namespace {

// What a recipe asks of its data.
DataRequest request_of(const Recipe& recipe, const DataOptions& options, bool folds) {
  DataRequest request{.path = options.path, .targets = recipe.targets(), .folds = folds};
  DataShape shape;
  std::string task;
  const std::vector<ModelOutput> outputs = recipe.outputs();
  for (const ModelOutput& output : outputs) {
    std::vector<std::string> learned = output.targets;
    if (learned.empty() && outputs.size() > 1) learned = {output.layer};
    shape.targets.width = static_cast<int64_t>(learned.empty() ? request.targets.size() : learned.size());
    task = output.loss.task(shape);
    // Of several outputs, the last one's.
    request.classes = task == "classes" || task == "binary";
    if (request.classes && learned.size() == 1) request.class_targets.push_back(learned.front());
    if (task == "labels")
      for (const std::string& name : learned.empty() ? request.targets : learned)
        request.label_targets.push_back(name);
  }
  request.symbols = task_named(task).decode != nullptr;
  request.shares = task == "binary" && outputs.size() == 1 && options.positive.empty();
  if (!options.positive.empty() && !request.classes)
    throw UserError(
        fmt::format("[data] positive = {}: has no effect with [loss] kind = {}, which learns {}; take "
                    "sigmoid_cross_entropy, or leave it out",
                    data::shortened(options.positive), recipe.loss().name, task));
  return request;
}

// Makes a yes or no of a class, where one is told from all others.
template <class Entries>
void label_positive(const std::string& positive, std::vector<std::string>& classes, Entries& entries) {
  if (positive.empty()) return;
  const int place = data::keep_one_class(classes, positive);
  for (auto& entry : entries) entry.label = entry.label == place;
}

// Recordings of one class each as sequences of it.
void make_sequences(speech::ClipList& list) {
  if (list.targets.symbols) return;
  list.targets.width = 1;
  list.targets.symbols = true;
  for (auto& entry : list.entries) entry.symbols = {entry.label + 1};
}

}  // namespace

bool learns_numbers(const Recipe& recipe) {
  const std::vector<ModelOutput> outputs = recipe.outputs();
  return std::any_of(outputs.begin(), outputs.end(),
                     [](const ModelOutput& output) { return output.loss.task({}) == "numbers"; });
}

void prepare_targets(const Recipe& recipe, data::Dataset& train) {
  if (!learns_numbers(recipe)) return;
  std::vector<data::TargetScale> scales = data::target_scales_of(train);
  if (recipe.data().standardize_targets) {
    train.target_scales = std::move(scales);
    return;
  }
  // A network begins near 0, and steps of a usual size take it long to get far from there.
  constexpr double far = 100;
  const std::vector<std::string> names = task_parts::target_names({.targets = train.targets});
  for (size_t i = 0; i < scales.size(); ++i)
    if (std::hypot(scales[i].mean, scales[i].deviation) > far)
      train.notices.push_back(fmt::format(
          "the target '{}' has a mean of {:.6g} and a standard deviation of {:.6g}: a network learns numbers "
          "near 1 best; set standardize_targets = true in [data]",
          names[i], scales[i].mean, scales[i].deviation));
}

Corpus::Corpus(const Recipe& recipe, const std::string& folder, const std::optional<data::FoldChoice>& fold)
    : kind_(data_kind_of(recipe.table("data"))), options_(recipe.data()), fold_(fold) {
  if (!folder.empty()) options_.path = folder;
  const DataRequest request = request_of(recipe, options_, fold.has_value());
  symbols_ = request.symbols;
  if (options_.path.empty())
    throw UserError("there are no data; give their folder, or set path in the recipe's [data]");
  reader_ = kind_.open(recipe.table("data"), request);
}

bool Corpus::holds(const std::string& file) const {
  std::error_code none;
  if (!std::filesystem::is_regular_file(file, none)) return false;
  const std::filesystem::path path = std::filesystem::canonical(file, none),
                              folder = std::filesystem::canonical(options_.path, none);
  if (none || std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first != folder.end())
    return false;
  return reader_->holds(path);
}

speech::ClipList Corpus::list(Split split) const {
  speech::ClipList list = single(split);
  if (!symbols_) return list;
  make_sequences(list);
  // Of those of one split, so that no recording is in two.
  return speech::joined(list, options_.join);
}

speech::ClipList Corpus::single(Split split) const {
  speech::ClipList list = reader_->list(is_of_fold(split) ? Split::train : split);
  label_positive(options_.positive, list.classes, list.entries);
  if (!is_of_fold(split)) return list;
  std::vector<int64_t> labels;
  for (const auto& entry : list.entries) labels.push_back(entry.label);
  const auto count = static_cast<int64_t>(labels.size());
  const std::vector<int64_t> folds =
      list.targets.symbols ? data::fold_numbers(count, fold_->count, fold_->seed)
                           : data::fold_numbers(labels, list.classes, fold_->count, fold_->seed);
  std::vector<speech::ClipList::Entry> entries;
  for (const int64_t number : data::part_of(folds, *fold_, split))
    entries.push_back(list.entries[static_cast<size_t>(number)]);
  list.entries = std::move(entries);
  return list;
}

data::Dataset Corpus::load(Split split) {
  data::Dataset dataset = is_of_fold(split) ? reader_->fold(*fold_, split) : reader_->load(split);
  label_positive(options_.positive, dataset.classes, dataset.examples);
  return dataset;
}

data::Dataset FrontEnd::examples(const speech::ClipSet& clips,
                                 const speech::Augmentation* augmentation) const {
  return speech::make_dataset(clips, extractor, statistics ? &*statistics : nullptr, augmentation);
}

data::Dataset FrontEnd::examples(const speech::ClipList& list, bool streamed) const {
  const data::CmvnStatistics* global = statistics ? &*statistics : nullptr;
  data::Dataset dataset;
  if (streamed) {
    dataset = speech::stream_dataset(list, extractor, global);
    for (const speech::AugmentOptions& view : views) {
      const speech::Augmentation heard{view};
      dataset.views.push_back(speech::stream_dataset(list, extractor, global, nullptr, &heard));
    }
  } else {
    const speech::ClipSet clips = speech::load_clips(list, extractor.options().sample_frequency);
    dataset = examples(clips);
    for (const speech::AugmentOptions& view : views) {
      const speech::Augmentation heard{view};
      dataset.views.push_back(examples(clips, &heard));
    }
  }
  return dataset;
}

data::Example FrontEnd::example(const speech::Audio& audio, const speech::AugmentOptions* view) const {
  speech::FeatureMatrix features;
  if (view == nullptr) {
    features = extractor.extract(audio);
  } else {
    speech::Audio heard = audio;
    const double warp = speech::augment(heard, *view, 0, 0, 0);
    features = extractor.extract(extractor.frames_in(heard) > 0 ? heard : audio, warp);
  }
  if (statistics) data::apply_cmvn(*statistics, features.values);
  return {audio.source, 0, features.frames, features.dimensions, std::move(features.values)};
}

void check_warps(const FrontEnd& front_end, const speech::AugmentOptions& augment) {
  const auto check = [&](const char* place, const speech::AugmentOptions& options) {
    for (const double warp : {speech::warps(options).first, speech::warps(options).second})
      if (warp != 1) at_place(place, [&] { front_end.extractor.check_warp(warp); });
  };
  check("[augment] warps the filters of [features]: ", augment);
  for (const speech::AugmentOptions& view : front_end.views)
    check("[prediction] vtln_warps warp the filters of [features]: ", view);
}

void check_symbol_columns(const std::vector<LayerSpec>& layers, const data::Dataset& dataset,
                          const data::Columns& columns) {
  if (dataset.examples.empty()) return;
  for (const SymbolInput& input : symbol_inputs(layers, shape_of(dataset)))
    for (const data::Columns::Feature& feature : columns.features) {
      if (feature.name != input.column) continue;
      if (feature.is_category)
        throw UserError(fmt::format(
            "layer {}: takes symbols, whole numbers from 0, but '{}' is a column of categories, which "
            "are zeros and a one: a dense layer without bias has a vector for each of these, or "
            "number them and leave '{}' out of [data] categories",
            input.layer, feature.name, feature.name));
      if (feature.centre != 0 || feature.scale != 1)
        throw UserError(fmt::format(
            "layer {}: takes symbols, whole numbers from 0, but the column '{}' is standardised; set "
            "standardize = false in [data]",
            input.layer, feature.name));
    }
}

void skip_short(data::Dataset& dataset, const std::vector<LayerSpec>& layers, const std::string& output) {
  NeededFrames needed(layers, output);
  std::vector<char> left_out;
  for (size_t i = 0; i < dataset.examples.size(); ++i) {
    const data::Example& example = dataset.examples[i];
    int64_t fewest = example.frames;
    for (const data::Dataset& view : dataset.views)
      if (i < view.examples.size()) fewest = std::min(fewest, view.examples[i].frames);
    left_out.push_back(dataset.sequences && fewest < needed.of(example, dataset.targets));
    if (left_out.back())
      dataset.skipped.push_back(fmt::format("{}: is of {} frames, but {}", example.source, fewest,
                                            needed.text_of(example, dataset.targets)));
  }
  const auto leave_out = [&](std::vector<data::Example>& examples) {
    std::vector<data::Example> kept;
    for (size_t i = 0; i < examples.size(); ++i)
      if (i >= left_out.size() || !left_out[i]) kept.push_back(std::move(examples[i]));
    examples = std::move(kept);
  };
  leave_out(dataset.examples);
  for (data::Dataset& view : dataset.views) leave_out(view.examples);
  if (dataset.examples.empty())
    throw UserError(fmt::format("no clip is long enough; the first: {}", dataset.skipped.back()));
}

void with_threads(int threads, const std::function<void()>& action) {
  const int count = threads > 0 ? threads : available_threads();
  const tbb::global_control allowed(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(count));
  tbb::task_arena(count).execute(action);
}

}  // namespace lariat
