#include "frontends/recipe/recipe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "frontends/data/utf8.hpp"
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

// The defaults of a kind, but for keys of the spec that both have and that are none of its own defaults.
Spec of_kind(const SpecKind& kind, const Spec& before, const SpecKind& its_kind) {
  Spec spec = kind.defaults();
  for (auto& [name, value] : spec.options) {
    const SpecOption *option = its_kind.find(name), *same = kind.find(name);
    if (option == nullptr || before.at(name) == option->default_value) continue;
    // What it means may have another range.
    try {
      Spec changed = spec;
      kind.set(changed, *same, before.at(name));
      value = changed.at(name);
    } catch (const UserError&) {
    }
  }
  return spec;
}

// Changes one key of a spec whose kind is one of `kinds`.
void set_key(Spec& spec, const SpecKinds& kinds, std::string_view key, std::string_view value,
             const std::string& place) {
  if (key == "kind" && !kinds.front()->name.empty()) {
    const SpecKind& kind = find_kind(kinds, value, place);
    if (kind.name != spec.kind) spec = of_kind(kind, spec, find_kind(kinds, spec.kind, place));
    spec.written = {};
    return;
  }
  const SpecKind& kind = find_kind(kinds, spec.kind, place);
  const SpecOption& option = kind.at(key, place);
  at_place(place + " ", [&] { kind.set(spec, option, value); });
  spec.written = {};
}

// A key of a recipe in its parts: table, which of it where there are several, and option.
struct Key {
  std::string table, entry, option;

  std::string place() const {
    return entry.empty() ? fmt::format("[{}]", table) : fmt::format("[{}.{}]", table, entry);
  }
};

Key parse_key(std::string_view text) {
  const auto refuse = [&] {
    throw UserError(fmt::format(
        "'{}' is no key of a recipe; write table.key, such as optimizer.learning_rate or layers.0.units",
        data::shortened(text)));
  };
  const size_t dot = text.find('.');
  if (dot == text.npos) refuse();
  Key key{std::string(text.substr(0, dot)), {}, std::string(text.substr(dot + 1))};
  if (list_kinds(key.table) != nullptr) {
    const size_t second = key.option.rfind('.');
    if (second == key.option.npos || second == 0) refuse();
    key.entry = key.option.substr(0, second);
    key.option.erase(0, second + 1);
  }
  return key;
}

std::optional<size_t> index_in(const std::string& text) {
  size_t index = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  return error == std::errc{} && rest == text.data() + text.size() ? std::optional(index) : std::nullopt;
}

// Which of `count` entries a key's number means.
size_t entry_at(const std::string& table, const std::string& entry, size_t count) {
  const std::optional<size_t> index = index_in(entry);
  if (!index || *index >= count)
    throw UserError(count == 0 ? fmt::format("the recipe has no {0}.{1}; write [[{0}]] in it", table,
                                             data::shortened(entry))
                               : fmt::format("the recipe has no {0}.{1}; it has {0}.0 to {0}.{2}", table,
                                             data::shortened(entry), count - 1));
  return *index;
}

// A layer that shares has the options of another.
bool is_sharing(const Spec& spec) {
  return std::any_of(spec.options.begin(), spec.options.end(),
                     [](const auto& option) { return option.first == "shares" && !option.second.empty(); });
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
  // A kind first: it has other keys.
  for (const bool kinds : {true, false})
    for (const auto& [key, value] : settings)
      if (key.ends_with(".kind") == kinds) changed.set_unchecked(key, value);
  changed.check("");
  *this = std::move(changed);
}

void Recipe::hold_out(const std::vector<std::string>& speakers) {
  const Spec& data = table("data");
  if (find_kind(find_table("data", "").kinds, data.kind, "[data]").find("held_out") == nullptr)
    throw UserError(
        fmt::format("{}: there are no speakers to hold out in data of [data] kind = {}; leave --held-out out",
                    data::shortened(join_words(speakers)), data.kind));
  set("data.held_out", join_words(speakers));
}

void Recipe::set_unchecked(std::string_view text, std::string_view value) {
  const Key key = parse_key(text);
  if (!data::is_utf8(value))
    throw UserError(
        fmt::format("{}: the value is not valid UTF-8, in which recipes are saved; rename what it names",
                    data::shortened(text)));
  if (const SpecKinds* kinds = list_kinds(key.table)) {
    std::vector<Spec>& specs = lists_[key.table];
    Spec& spec = key.table == "layers" ? layers_[layer_at(key.entry)]
                                       : specs[entry_at(key.table, key.entry, specs.size())];
    set_key(spec, *kinds, key.option, value, key.place());
  } else {
    const RecipeTable& table = find_table(key.table, "");
    set_key(tables_[key.table], table.kinds, key.option, value, key.place());
  }
}

const std::vector<Spec>& Recipe::list(std::string_view name) const {
  static const std::vector<Spec> none;
  const auto found = lists_.find(name);
  return found == lists_.end() ? none : found->second;
}

size_t Recipe::layer_at(const std::string& layer) const {
  if (const auto names = names_of(layers_); !index_in(layer))
    if (const auto found = std::find(names.begin(), names.end(), layer); found != names.end())
      return static_cast<size_t>(found - names.begin());
  return entry_at("layers", layer, layers_.size());
}

std::string Recipe::get(std::string_view text) const {
  const Key key = parse_key(text);
  const SpecKinds* listed = list_kinds(key.table);
  const SpecKinds& kinds = listed != nullptr ? *listed : find_table(key.table, "").kinds;
  const Spec& spec = key.table == "layers" ? layers_[layer_at(key.entry)]
                     : listed == nullptr
                         ? table(key.table)
                         : list(key.table)[entry_at(key.table, key.entry, list(key.table).size())];
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
      // Where data lie, in memory or not, and how often a run is saved changes nothing that it computes.
      const bool counts = !(place == "data" && (option == "path" || option == "stream")) &&
                          !option.starts_with("checkpoint_");
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
  const auto compare_list = [&](const std::string& name, const auto& ours, const auto& theirs) {
    if (difference.empty() && ours.size() != theirs.size())
      difference = fmt::format("it has {} {} there and {} here", theirs.size(), name, ours.size());
    for (size_t i = 0; i < ours.size() && difference.empty(); ++i)
      difference = compare(fmt::format("{}.{}", name, i), ours[i], theirs[i]);
  };
  compare_list("layers", layers_, there.layers_);
  for (const RecipeTable& entry : recipe_lists())
    compare_list(entry.name, list(entry.name), there.list(entry.name));
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

namespace {

std::vector<Metric> metrics_named(const std::vector<std::string>& kinds, const std::string& place) {
  std::vector<Metric> metrics;
  for (const std::string& kind : kinds)
    metrics.push_back(make_metric(spec_from_text(metric_spec_kinds(), kind, place)));
  return metrics;
}

}  // namespace

std::vector<Metric> Recipe::metrics() const {
  return metrics_named(metrics_fields().read(table("metrics")).kinds, "[metrics]");
}

std::vector<LayerSpec> Recipe::layers() const {
  return penalised(layers_, penalty_fields().read(table("penalty")));
}

std::vector<ModelOutput> Recipe::outputs() const {
  if (list("outputs").empty()) return {{"", loss(), metrics(), 1, {}, table("loss").written}};
  std::vector<ModelOutput> outputs;
  for (const Spec& spec : list("outputs")) {
    const OutputOptions options = output_fields().read(spec);
    const std::string place = fmt::format("[outputs.{}] ", outputs.size());
    outputs.push_back(
        {options.layer, make_loss(spec_from_text(loss_spec_kinds(), options.loss, place + "loss")),
         metrics_named(options.metrics, place + "metrics"), options.weight, options.target, spec.written});
  }
  return outputs;
}

std::vector<std::string> Recipe::targets() const {
  std::vector<std::string> targets = data().target;
  if (!targets.empty()) return targets;
  const std::vector<ModelOutput> all = outputs();
  for (const ModelOutput& output : all) {
    std::vector<std::string> own = output.targets;
    // Of several outputs each learns the column of its layer's name where none is named.
    if (own.empty() && all.size() > 1) own = {output.layer};
    for (const std::string& target : own)
      if (std::find(targets.begin(), targets.end(), target) == targets.end()) targets.push_back(target);
  }
  return targets;
}

std::vector<speech::AugmentOptions> Recipe::views() const {
  PredictionOptions options = prediction_fields().read(table("prediction"));
  options.vtln_warps.insert(options.vtln_warps.begin(), 1);
  options.speeds.insert(options.speeds.begin(), 1);
  std::vector<speech::AugmentOptions> views;
  for (const double speed : options.speeds)
    for (const double warp : options.vtln_warps)
      views.push_back({.speed_min = speed, .speed_max = speed, .vtln_min = warp, .vtln_max = warp});
  views.erase(views.begin());  // as it is
  return views;
}

bool Recipe::augments() const { return !first_changed(table("augment"), only_kind("augment")).empty(); }

void Recipe::check_outputs(std::string_view place) const {
  if (data().standardize_targets)
    at_place(std::string(place), [&] {
      for (const ModelOutput& output : outputs()) check_standardised(output.loss);
    });
  if (list("outputs").empty()) return at_place(std::string(place), [&] { metrics(); });
  for (const char* name : {"loss", "metrics"}) {
    const SpecKind& first = only_kind(name);
    if (table(name).kind != first.name || !first_changed(table(name), first).empty())
      throw UserError(fmt::format("{}[{}] has no effect with [[outputs]]; give each output its own {}", place,
                                  name, name));
  }
  at_place(std::string(place), [&] { outputs(); });
  const std::vector<std::string> read = data().target;
  const std::vector<ModelOutput> all = outputs();
  for (size_t i = 0; i < all.size() && !read.empty(); ++i)
    for (const std::string& target : all[i].targets)
      if (std::find(read.begin(), read.end(), target) == read.end())
        throw UserError(
            fmt::format("{}[outputs.{}] target = {}: is not among data.target = {}, which says what is "
                        "read; add it there, or leave data.target out.{}",
                        place, i, target, join_words(read), did_you_mean(target, read)));
}

void Recipe::check_wiring(std::string_view place) const {
  const auto begin = [&](size_t layer) {
    const std::string& written = layers_[layer].written.text;
    return fmt::format("{}[layers.{}] ", written.empty() || place.empty() ? place : written, layer);
  };
  std::vector<std::string> outputs;
  const std::vector<std::string> names = value_names(layers_);
  for (const Spec& output : list("outputs")) {
    const std::string& layer = output.at("layer");
    if (std::find(names.begin(), names.end(), layer) == names.end())
      throw UserError(fmt::format("{}[outputs.{}] layer = {}: there is no layer of that name.{}", place,
                                  outputs.size(), layer.empty() ? "''" : data::shortened(layer),
                                  did_you_mean(layer, names)));
    outputs.push_back(layer);
  }
  // What columns a table or an archive has is known by its data alone, unless the recipe names them.
  const std::vector<std::string> columns = data().features;
  const bool open = data_kind_of(table("data")).names_columns && columns.empty();
  wiring_of(layers_, outputs, open ? nullptr : &columns, begin);
  at_place(fmt::format("{}[penalty] ", place), [&] { layers(); });
}

void Recipe::check(std::string_view place) const {
  if (layers_.empty())
    throw UserError(fmt::format("{}a recipe needs layers; write at least one [[layers]]", place));
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (!is_sharing(layers_[i]))
      find_kind(layer_spec_kinds(), layers_[i].kind, place)
          .check_complete(layers_[i], fmt::format("{}[layers.{}]", place, i));
    for (const char* key : {"learning_rate_factor", "weight_decay"})
      if (const SpecOption* option = find_kind(layer_spec_kinds(), layers_[i].kind, place).find(key);
          option != nullptr && !place_of(layers_[i]).trainable && layers_[i].at(key) != option->default_value)
        throw UserError(fmt::format(
            "{}[layers.{}] {} = {}: has no effect with trainable = false; leave one of the two out", place, i,
            key, layers_[i].at(key)));
  }
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
  check_wiring(place);
  at_place(fmt::format("{}[augment] ", place), [&] { speech::check(augment()); });
  check_outputs(place);
  check_symbols(place);
  if (const ProximalOptions options = proximal(); options.after_settling != 1 && options.settle_from == 1)
    throw UserError(fmt::format(
        "{}[proximal] after_settling = {}: has no effect with settle_from = 1; set settle_from too, such as "
        "0.5",
        place, options.after_settling));
  at_place(std::string(place), [&] { check_effects(proximal(), training(), penalties_of(layers())); });
  if (data_kind_of(table("data")).form == DataForm::recordings) return;
  for (const char* name : {"features", "augment", "prediction"})
    if (const std::string key = first_changed(table(name), only_kind(name)); !key.empty() && key != "beam")
      throw UserError(fmt::format("{}[{}] {} = {}: has no effect with [data] kind = {}; leave it out", place,
                                  name, key, table(name).at(key), table("data").kind));
}

}  // namespace lariat
