#include "frontends/recipe/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "frontends/sequential/model_file.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat {

namespace {

constexpr const char* start_note = "start_scales";

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
  if (store.metadata().contains(start_note))
    at_place(fmt::format("'{}': ", file),
             [&] { checkpoint->start_scales = StartScales::from_json(note_of(store, start_note, file)); });
  checkpoint->store = std::move(store);
  checkpoint->store.metadata().clear();
  return std::move(*checkpoint);
}

}  // namespace lariat
