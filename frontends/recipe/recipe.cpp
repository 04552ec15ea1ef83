#include "frontends/recipe/recipe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "frontends/data/utf8.hpp"
#include "frontends/sequential/callbacks/callbacks.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat {

namespace {

// The kinds of what there may be several of; nullptr where a recipe has no such list.
const SpecKinds* list_kinds(std::string_view name) {
  if (name == "layers") return &layer_spec_kinds();
  for (const RecipeTable& list : recipe_lists())
    if (list.name == name) return &list.kinds;
  return nullptr;
}

const RecipeTable& find_table(std::string_view name, std::string_view place) {
  std::vector<std::string> known{"layers"};
  for (const RecipeTable& list : recipe_lists()) known.push_back(list.name);
  for (const RecipeTable& table : recipe_tables()) {
    if (table.name == name) return table;
    known.push_back(table.name);
  }
  throw UserError(fmt::format("{}a recipe has no table '{}'.{}", place, data::shortened(name),
                              did_you_mean(name, known)));
}

// Changes one key of a spec whose kind is one of `kinds`.
void set_key(Spec& spec, const SpecKinds& kinds, std::string_view key, std::string_view value,
             const std::string& place) {
  if (key == "kind" && !kinds.front()->name.empty()) {
    const SpecKind& kind = find_kind(kinds, value, place);
    if (kind.name != spec.kind) spec = kind.defaults();
    return;
  }
  const SpecKind& kind = find_kind(kinds, spec.kind, place);
  const SpecOption& option = kind.at(key, place);
  at_place(place + " ", [&] { kind.set(spec, option, value); });
}

// A key of a recipe in its parts: table, which of it where there are several, and option.
struct Key {
  std::string table;
  std::optional<size_t> index;
  std::string option;

  std::string place() const {
    return index ? fmt::format("[{}.{}]", table, *index) : fmt::format("[{}]", table);
  }
};

void check_index(const Key& key, size_t count) {
  if (*key.index < count) return;
  if (count == 0)
    throw UserError(fmt::format("the recipe has no {0}.{1}; write [[{0}]] in it", key.table, *key.index));
  throw UserError(
      fmt::format("the recipe has no {0}.{1}; it has {0}.0 to {0}.{2}", key.table, *key.index, count - 1));
}

Key parse_key(std::string_view text) {
  const auto refuse = [&] {
    throw UserError(fmt::format(
        "'{}' is no key of a recipe; write table.key, such as optimizer.learning_rate or layers.0.units",
        data::shortened(text)));
  };
  const size_t dot = text.find('.');
  if (dot == text.npos) refuse();
  Key key{std::string(text.substr(0, dot)), std::nullopt, std::string(text.substr(dot + 1))};
  if (list_kinds(key.table) != nullptr) {
    const size_t second = key.option.find('.');
    size_t index = 0;
    const auto [rest, error] =
        std::from_chars(key.option.data(), key.option.data() + std::min(second, key.option.size()), index);
    if (second == key.option.npos || error != std::errc{} || rest != key.option.data() + second) refuse();
    key.index = index;
    key.option.erase(0, second + 1);
  }
  return key;
}

}  // namespace

Recipe::Recipe() {
  for (const RecipeTable& table : recipe_tables()) tables_[table.name] = table.kinds.front()->defaults();
}

const Spec& Recipe::table(std::string_view name) const {
  const auto found = tables_.find(name);
  require(found != tables_.end(), "a recipe has every table");
  return found->second;
}

void Recipe::set(std::string_view key, std::string_view value) {
  set({{std::string(key), std::string(value)}});
}

void Recipe::set(const std::vector<std::pair<std::string, std::string>>& settings) {
  Recipe changed = *this;
  for (const auto& [key, value] : settings) changed.set_unchecked(key, value);
  changed.check("");
  *this = std::move(changed);
}

void Recipe::set_unchecked(std::string_view text, std::string_view value) {
  const Key key = parse_key(text);
  if (!data::is_utf8(value))
    throw UserError(
        fmt::format("{}: the value is not valid UTF-8, in which recipes are saved; rename what it names",
                    data::shortened(text)));
  if (key.index) {
    std::vector<Spec>& specs = key.table == "layers" ? layers_ : lists_[key.table];
    check_index(key, specs.size());
    set_key(specs[*key.index], *list_kinds(key.table), key.option, value, key.place());
  } else {
    const RecipeTable& table = find_table(key.table, "");
    set_key(tables_[key.table], table.kinds, key.option, value, key.place());
  }
}

const std::vector<Spec>& Recipe::list(std::string_view name) const {
  static const std::vector<Spec> none;
  const auto found = lists_.find(name);
  return name == "layers" ? layers_ : found == lists_.end() ? none : found->second;
}

std::string Recipe::get(std::string_view text) const {
  const Key key = parse_key(text);
  if (key.index) check_index(key, list(key.table).size());
  const SpecKinds& kinds = key.index ? *list_kinds(key.table) : find_table(key.table, "").kinds;
  const Spec& spec = key.index ? list(key.table)[*key.index] : table(key.table);
  if (key.option == "kind" && !kinds.front()->name.empty()) return spec.kind;
  return spec.at(find_kind(kinds, spec.kind, key.place()).at(key.option, key.place()).name);
}

std::string Recipe::to_json() const {
  std::string result;
  for (const RecipeTable& entry : recipe_tables()) {
    const Spec& spec = table(entry.name);
    result += fmt::format("{}\"{}\":{}", result.empty() ? "" : ",", entry.name,
                          find_kind(entry.kinds, spec.kind, entry.name).to_json(spec));
  }
  for (const auto& [name, specs] : lists_) {
    if (specs.empty()) continue;
    std::string entries;
    for (const Spec& spec : specs)
      entries += (entries.empty() ? "" : ",") + find_kind(*list_kinds(name), spec.kind, name).to_json(spec);
    result += fmt::format(",\"{}\":[{}]", name, entries);
  }
  return fmt::format("{{{},\"layers\":{}}}", result, lariat::to_json(layers_));
}

Recipe Recipe::from_json(std::string_view json) {
  const auto object = parse_json(json);
  if (!object.is_object()) throw UserError("the recipe is not a JSON object; it is damaged");
  Recipe recipe;
  for (const auto& [name, value] : object.items()) {
    if (name == "layers") {
      recipe.layers_ = layers_from_json(value.dump());
    } else if (const SpecKinds* kinds = list_kinds(name)) {
      if (!value.is_array())
        throw UserError(fmt::format("the recipe's {} are no array; it is damaged", name));
      for (const auto& entry : value)
        recipe.lists_[name].push_back(
            spec_from_json(*kinds, entry.dump(), fmt::format("[{}.{}]", name, recipe.lists_[name].size())));
    } else {
      recipe.tables_[name] =
          spec_from_json(find_table(name, "").kinds, value.dump(), fmt::format("[{}]", name));
    }
  }
  recipe.check("");
  return recipe;
}

std::string Recipe::first_difference(const Recipe& there) const {
  const auto compare = [](const std::string& place, const Spec& here, const Spec& other) -> std::string {
    if (here.kind != other.kind)
      return fmt::format("{}.kind is {} there and {} here", place, other.kind, here.kind);
    for (const auto& [option, text] : here.options) {
      // Where data lie and how often a run is saved changes nothing that it computes.
      const bool counts = !(place == "data" && option == "path") && !option.starts_with("checkpoint_");
      if (counts && other.at(option) != text)
        return fmt::format("{}.{} is {} there and {} here", place, option,
                           other.at(option).empty() ? "empty" : other.at(option),
                           text.empty() ? "empty" : text);
    }
    return {};
  };
  std::string difference;
  for (const RecipeTable& entry : recipe_tables())
    if (difference.empty() && entry.name != "search")
      difference = compare(entry.name, table(entry.name), there.table(entry.name));
  const auto compare_list = [&](const std::string& name) {
    const std::vector<Spec>&ours = list(name), &theirs = there.list(name);
    if (difference.empty() && ours.size() != theirs.size())
      difference = fmt::format("it has {} {} there and {} here", theirs.size(), name, ours.size());
    for (size_t i = 0; i < ours.size() && difference.empty(); ++i)
      difference = compare(fmt::format("{}.{}", name, i), ours[i], theirs[i]);
  };
  compare_list("layers");
  for (const RecipeTable& entry : recipe_lists()) compare_list(entry.name);
  return difference;
}

speech::FeatureOptions Recipe::features() const {
  return Fields(speech::feature_option_table()).read(table("features"));
}
speech::AugmentOptions Recipe::augment() const {
  return Fields(speech::augment_option_table()).read(table("augment"));
}

namespace {

// The first key that has another value than its default, or "".
std::string first_changed(const Spec& spec, const SpecKind& kind) {
  for (const SpecOption& option : kind.options)
    if (spec.at(option.name) != option.default_value) return option.name;
  return {};
}

const SpecKind& only_kind(std::string_view table) { return *find_table(table, "").kinds.front(); }

}  // namespace

std::vector<Metric> Recipe::metrics() const {
  std::vector<Metric> metrics;
  for (const std::string& kind : metrics_fields().read(table("metrics")).kinds)
    metrics.push_back(make_metric(spec_from_text(metric_spec_kinds(), kind, "[metrics]")));
  return metrics;
}

bool Recipe::augments() const { return !first_changed(table("augment"), only_kind("augment")).empty(); }

std::vector<Callback> Recipe::callbacks() const {
  std::vector<Callback> callbacks;
  if (const ScheduleKind& kind = schedule_kind_of(table("schedule")); kind.callback)
    callbacks.push_back(kind.callback(table("schedule")));
  if (const double target = proximal().target_zeros; target > 0) {
    callbacks.push_back(TargetZeros{.target = target});
    callbacks.back().place = "[proximal] target_zeros: ";
  }
  const std::vector<Spec>& specs = list("callbacks");
  for (size_t i = 0; i < specs.size(); ++i) {
    callbacks.push_back(make_callback(specs[i]));
    callbacks.back().place = fmt::format("[callbacks.{}] {}: ", i, specs[i].kind);
  }
  return callbacks;
}

FitOptions Recipe::fit() const {
  const TrainingOptions from = training();
  const ProximalOptions penalties = proximal();
  FitOptions fit;
  fit.epochs = static_cast<int>(from.epochs);
  fit.batch_size = static_cast<int>(from.batch_size);
  fit.seed = static_cast<uint64_t>(from.seed);
  fit.accumulate = static_cast<int>(from.accumulate);
  fit.schedule = [spec = table("schedule")](int64_t steps) {
    Schedule schedule;
    at_place("[schedule] ", [&] { schedule = schedule_kind_of(spec).make(spec, steps); });
    return schedule;
  };
  fit.callbacks = callbacks();
  for (const Spec& spec : list("groups")) fit.groups.push_back(parameter_group(spec));
  fit.clip_norm = from.clip_norm;
  fit.clip_value = from.clip_value;
  fit.rewrite = penalties.rewrite;
  fit.settle_from = penalties.settle_from;
  fit.freeze_zeros = penalties.freeze_zeros;
  fit.penalty_ramp = penalties.ramp;
  fit.after_settling = penalties.after_settling;
  fit.bucket = from.bucket;
  fit.bucket_batches = static_cast<int>(from.bucket_batches);
  fit.time_multiple = static_cast<int>(from.time_multiple);
  fit.stop_when_stationary = from.stop_when_stationary;
  fit.stop_when_settled = static_cast<int>(from.stop_when_settled);
  fit.checkpoint_steps = from.checkpoint_steps;
  fit.checkpoint_minutes = from.checkpoint_minutes;
  return fit;
}

void Recipe::check(std::string_view place) const {
  if (layers_.empty())
    throw UserError(fmt::format("{}a recipe needs layers; write at least one [[layers]]", place));
  for (size_t i = 0; i < layers_.size(); ++i)
    find_kind(layer_spec_kinds(), layers_[i].kind, place)
        .check_complete(layers_[i], fmt::format("{}[layers.{}]", place, i));
  for (const auto& [name, specs] : lists_)
    for (size_t i = 0; i < specs.size(); ++i)
      find_kind(*list_kinds(name), specs[i].kind, place)
          .check_complete(specs[i], fmt::format("{}[{}.{}]", place, name, i));
  for (size_t i = 0; i < list("groups").size(); ++i) {
    const ParameterGroup group = parameter_group(list("groups")[i]);
    if (!group.learning_rate && !group.weight_decay)
      throw UserError(
          fmt::format("{}[groups.{}] pattern = {}: has no effect without a learning_rate or a "
                      "weight_decay; set one",
                      place, i, group.pattern));
  }
  // Of more steps than can be written.
  at_place(fmt::format("{}[schedule] ", place), [&] { schedule(std::numeric_limits<int64_t>::max() / 4); });
  at_place(fmt::format("{}[augment] ", place), [&] { speech::check(augment()); });
  at_place(std::string(place), [&] { metrics(); });
  if (const ProximalOptions options = proximal(); options.after_settling != 1 && options.settle_from == 1)
    throw UserError(fmt::format(
        "{}[proximal] after_settling = {}: has no effect with settle_from = 1; set settle_from too, such as "
        "0.5",
        place, options.after_settling));
  if (is_audio(table("data"))) return;
  for (const char* name : {"features", "augment"})
    if (const std::string key = first_changed(table(name), only_kind(name)); !key.empty())
      throw UserError(fmt::format("{}[{}] {} = {}: has no effect with [data] kind = {}; leave it out", place,
                                  name, key, table(name).at(key), table("data").kind));
}

}  // namespace lariat
