#include "frontends/recipe/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "frontends/data/option_table.hpp"
#include "frontends/sequential/model_file.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/base/random.hpp"

namespace lariat {

namespace {

constexpr const char *start_note = "start_scales", *data_note = "data";

}  // namespace

void Checkpoint::save(const std::string& file, const std::string& model) const {
  Store out = store;
  Json epochs = Json::array();
  for (const EpochReport& epoch : history) epochs.push_back(parse_json(to_json(epoch)));
  auto& notes = out.metadata();
  notes["recipe"] = recipe.to_json();
  notes["progress"] = to_json(state);
  notes["history"] = epochs.dump();
  notes["train_examples"] = fmt::format("{}", train_examples);
  write_target_scales(out, target_scales);
  if (!data.empty()) notes[data_note] = data;
  if (start_scales) notes[start_note] = start_scales->to_json();
  seal(out, checkpoint_format);
  out.save(file, Packing::plain, model);
}

namespace {

// How many metrics a training follows.
size_t followed_metrics(const Recipe& recipe) {
  const std::vector<ModelOutput> outputs = recipe.outputs();
  std::ptrdiff_t followed = 0;
  for (const ModelOutput& output : outputs) {
    DataShape shape;
    shape.targets.width = static_cast<int64_t>(!output.targets.empty() ? output.targets.size()
                                               : outputs.size() > 1    ? 1
                                                                       : recipe.data().target.size());
    const std::vector<Metric> metrics = metrics_for(task_named(output.loss.task(shape)), output.metrics);
    followed += std::count_if(metrics.begin(), metrics.end(),
                              [](const Metric& metric) { return bool(metric.per_example); });
  }
  return static_cast<size_t>(followed);
}

}  // namespace

Checkpoint Checkpoint::load(const std::string& file) {
  Store store = Store::load(file);
  check_format(store, checkpoint_format, file);
  const std::string &recipe = note_of(store, "recipe", file), &progress = note_of(store, "progress", file);
  std::optional<Checkpoint> checkpoint;
  at_place(fmt::format("'{}': ", file), [&] {
    checkpoint = Checkpoint{{}, Recipe::from_json(recipe), fit_state_from_json(progress), {}, 0};
  });
  const auto damaged = [&] {
    throw UserError(fmt::format("'{}': its notes are damaged; start the training again", file));
  };
  const auto history = parse_json(note_of(store, "history", file));
  const auto examples = parse_json(note_of(store, "train_examples", file));
  if (!history.is_array() || !examples.is_number_unsigned()) damaged();
  at_place(fmt::format("'{}': ", file), [&] {
    for (const auto& epoch : history) checkpoint->history.push_back(epoch_report_from_json(epoch.dump()));
  });
  const FitState& state = checkpoint->state;
  if (state.epoch > checkpoint->recipe.training().epochs ||
      state.epoch != static_cast<int64_t>(checkpoint->history.size()) ||
      state.callbacks.size() != checkpoint->recipe.callbacks().size() ||
      state.metrics.size() != (state.step == 0 ? 0 : followed_metrics(checkpoint->recipe)))
    damaged();
  checkpoint->train_examples = examples.get<size_t>();
  checkpoint->target_scales = read_target_scales(store, file);
  if (store.metadata().contains(data_note)) {
    checkpoint->data = note_of(store, data_note, file);
    at_place(fmt::format("'{}': ", file), [&] { identity_difference(checkpoint->data, checkpoint->data); });
  }
  if (store.metadata().contains(start_note))
    at_place(fmt::format("'{}': ", file),
             [&] { checkpoint->start_scales = StartScales::from_json(note_of(store, start_note, file)); });
  checkpoint->store = std::move(store);
  checkpoint->store.metadata().clear();
  return std::move(*checkpoint);
}

std::string identity_of(const data::Dataset& train, const std::optional<data::Columns>& columns) {
  uint64_t hash = 0;
  for (const data::Example& example : train.examples) {
    const std::array<int64_t, 3> whole{example.label, example.frames, example.dimensions};
    hash = hash_words(whole.data(), sizeof(whole), hash);
    hash = hash_words(&example.weight, sizeof(example.weight), hash);
    hash = hash_words(example.targets.data(), example.targets.size() * sizeof(float), hash);
  }
  Json names = Json::array();
  for (const data::Column& column : train.columns) names.push_back(column.name);
  Json identity{{"classes", train.classes},
                {"columns", names},
                {"targets", train.targets.names},
                {"labels", fmt::format("{:016x}", hash)}};
  if (columns) identity["table"] = parse_json(data::to_json(*columns));
  return identity.dump();
}

std::string identity_difference(const std::string& there, const std::string& here) {
  const auto names = [](const Json& list) {
    constexpr size_t most = 4;
    std::string text;
    for (size_t i = 0; i < std::min(most, list.size()); ++i)
      text += fmt::format("{}{}", i == 0 ? "" : ", ", data::shortened(list.at(i).get<std::string>()));
    return list.empty() ? "none" : text + (list.size() > most ? ", …" : "");
  };
  try {
    const Json before = parse_json(there), now = parse_json(here);
    for (const char* part : {"classes", "columns", "targets"})
      if (before.at(part) != now.at(part))
        return fmt::format("its {} were {}, these are {}", part, names(before.at(part)), names(now.at(part)));
    return before == now ? "" : "names are the same, but labels or values differ";
  } catch (const Json::exception&) {
    throw UserError("what it says of its data is damaged; start the training again");
  }
}

}  // namespace lariat
