#include "frontends/sequential/model_file.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "frontends/spec/op_fingerprint.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/base/random.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/ir/registry.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat {

namespace {

// The hash of the tensors and of every other note, and that of the tensors alone in version 1.
constexpr const char *hash_note = "hash", *tensor_hash_note = "tensor_hash";
// The mean and the deviation of each target, where numbers are standardised.
constexpr const char* scales_note = "target_scales";

uint64_t hash_of_all(const Store& store) {
  uint64_t hash = store.hash();
  const auto add = [&](const std::string& text) {
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    const uint64_t length = text.size();
    hash = hash_bytes(text.data(), text.size(), hash_bytes(&length, sizeof length, hash));
  };
  for (const auto& [name, note] : store.metadata()) {
    if (name == hash_note) continue;
    add(name);
    add(note);
  }
  return hash;
}

std::string written(uint64_t hash) { return fmt::format("{:016x}", hash); }

// What is written nests three deep: a recipe, its list of layers, a layer. The library that reads it writes
// it again by recursion.
constexpr int deepest_note = 8;

bool is_deep(const std::string& note) {
  bool deep = false;
  const auto watch = [&](int depth, Json::parse_event_t, Json&) {
    deep |= depth > deepest_note;
    return !deep;
  };
  [[maybe_unused]] const auto parsed = Json::parse(note, watch, false);
  return deep;
}

// The ops that layers name, with whether a layer computes with them; others are penalties, for training
// alone.
std::map<std::string, bool> ops_of(const std::vector<LayerSpec>& layers) {
  std::map<std::string, bool> names;
  for (const LayerSpec& layer : layers)
    for (const auto& [key, text] : layer.options) {
      if (layer.kind == "op" && key == "op") names[text] = true;
      if (!key.ends_with("_penalty")) continue;
      for (const auto& [op, term] : parse_weight_penalty(key, text).by_op) names.emplace(op, false);
    }
  return names;
}

// The ops of plugins that the layers name, with where they come from.
Json plugins_of(const std::vector<LayerSpec>& layers) {
  Json result = Json::array();
  for (const auto& [name, computes] : ops_of(layers)) {
    const OpDef* op = registry().find(name);
    if (op == nullptr || !op->plugin) continue;
    const PluginOrigin origin = plugin_origin(*op);
    result.push_back({{"op", op->name},
                      {"op_version", origin.op_version},
                      {"plugin", origin.plugin},
                      {"version", origin.version},
                      {"domain", origin.domain},
                      {"penalty", !computes},
                      {"samples", origin.deterministic ? fingerprint_of(*op) : Json::array()}});
  }
  return result;
}

// What an op is called in a message: "of the plugin 'name', domain 'of.it'".
std::string whose(const std::string& plugin, const std::string& domain) {
  return fmt::format("of the plugin '{}'{}", plugin,
                     domain.empty() ? "" : fmt::format(", domain '{}',", domain));
}

// How the loaded op differs from the one that an entry of the note names, or "". Files of earlier versions
// have neither domain nor samples.
std::string difference_from_saved(const OpDef& op, const Json& entry) {
  const PluginOrigin origin = op.plugin ? plugin_origin(op) : PluginOrigin{};
  const auto plugin = entry.at("plugin").get<std::string>();
  const auto domain = entry.value("domain", origin.domain);
  if (!op.plugin) return "is Lariat's own";
  if (origin.plugin != plugin || origin.domain != domain)
    return fmt::format("is one {}", whose(origin.plugin, origin.domain));
  if (const auto version = entry.at("op_version").get<uint32_t>(); origin.op_version != version)
    return fmt::format("is version {} of it, not {}", origin.op_version, version);
  return entry.contains("samples") ? difference_from(op, entry.at("samples")) : "";
}

// Nothing is loaded because a file names it. What is missing for inference is thrown, or said in `missing`.
void check_plugins(const Store& store, const std::string& file, std::vector<std::string>* missing) {
  if (!store.metadata().contains("plugins")) return;
  const auto list = parse_json(note_of(store, "plugins", file));
  try {
    for (const auto& entry : list) {
      const auto name = entry.at("op").get<std::string>(), plugin = entry.at("plugin").get<std::string>();
      const OpDef* op = registry().find(name);
      std::string message;
      if (op == nullptr && entry.value("penalty", false)) {
        expect_penalty(name);
        continue;
      }
      if (op == nullptr) {
        message =
            fmt::format("'{}' needs the op '{}' of the plugin '{}' version {}, which is not loaded; {}", file,
                        name, plugin, entry.at("version").get<std::string>(), how_to_load_plugins);
      } else if (const std::string difference = difference_from_saved(*op, entry); !difference.empty()) {
        message = fmt::format(
            "'{}' needs the op '{}' {} version {}; the one that is loaded, from {}, {}; load that "
            "plugin instead",
            file, name, whose(plugin, entry.value("domain", "")), entry.at("version").get<std::string>(),
            op->plugin ? origin_of(*op) : "Lariat itself", difference);
      }
      if (message.empty()) continue;
      if (missing == nullptr) throw UserError(message);
      missing->push_back(message);
      expect_penalty(name);
    }
  } catch (const Json::exception&) {
    throw UserError(fmt::format("'{}': its note 'plugins' is damaged; save it again", file));
  }
}

}  // namespace

void seal(Store& store, const char* format) {
  store.metadata()["format"] = format;
  store.metadata()["format_version"] = format_version;
  store.metadata()[hash_note] = written(hash_of_all(store));
}

void check_format(const Store& store, const char* format, const std::string& file) {
  const auto note = [&](const char* name) {
    const auto found = store.metadata().find(std::string(name));
    return found == store.metadata().end() ? std::string() : found->second;
  };
  const bool model = format == std::string_view(model_format);
  const std::string is = note("format");
  if (is != format) {
    if (model && is == checkpoint_format)
      throw UserError(fmt::format(
          "'{}' is a checkpoint, not a Lariat model; finish its training, or give the model file", file));
    if (model && is == linear_format)
      throw UserError(
          fmt::format("'{}' is a linear model, which lariat evaluate, predict and inspect take", file));
    throw UserError(fmt::format("'{}' is not a Lariat {}; give a file that {} wrote", file,
                                model ? "model" : "checkpoint",
                                model ? "lariat train or Sequential::save" : "an unfinished lariat train"));
  }
  const std::string version = note("format_version");
  if (version != format_version && version != "1")
    throw UserError(fmt::format(
        "'{}' has format version {}, this program reads versions 1 and {}; use the Lariat that wrote it",
        file, version, format_version));
  // Files of version 1 that other programs wrote have no hash.
  const std::string noted = note(version == "1" ? tensor_hash_note : hash_note);
  const bool unknown = version == "1" && noted.empty();
  if (!unknown && noted != written(version == "1" ? store.hash() : hash_of_all(store)))
    throw UserError(fmt::format("'{}' is damaged: it does not hold what was saved; copy it again", file));
}

const std::string& note_of(const Store& store, std::string_view name, const std::string& file) {
  const auto found = store.metadata().find(std::string(name));
  if (found == store.metadata().end())
    throw UserError(fmt::format("'{}' has no note '{}'; save it again", file, name));
  if (is_deep(found->second))
    throw UserError(fmt::format("'{}': its note '{}' is nested too deeply; save it again", file, name));
  return found->second;
}

namespace {

// Wider targets are a slip of the finger.
constexpr int64_t most_targets = 1 << 20;

Json loss_json(const Loss& loss, const DataShape& shape) {
  if (loss.spec.kind.empty())
    return {{"name", loss.name}, {"task", task_of(loss, shape).name}, {"plain_outputs", loss.plain_outputs}};
  return parse_json(find_kind(loss_spec_kinds(), loss.spec.kind, "loss").to_json(loss.spec));
}

Json metrics_json(const std::vector<Metric>& metrics) {
  Json list = Json::array();
  for (const Metric& metric : metrics)
    if (!metric.spec.kind.empty())
      list.push_back(
          parse_json(find_kind(metric_spec_kinds(), metric.spec.kind, "metrics").to_json(metric.spec)));
  return list;
}

Loss loss_from(const Json& note) {
  if (!note.is_object() || !note.contains("task"))
    return make_loss(spec_from_json(loss_spec_kinds(), note.dump(), "loss"));
  const auto name = note.at("name").get<std::string>(),
             task = task_named(note.at("task").get<std::string>()).name;
  Loss loss{name, {}, [task](const DataShape&) { return task; }};
  loss.plain_outputs = note.at("plain_outputs").get<bool>();
  return loss;
}

std::vector<Metric> metrics_from(const Json& note) {
  std::vector<Metric> metrics;
  for (const auto& metric : note) {
    Metric read = make_metric(spec_from_json(metric_spec_kinds(), metric.dump(), "metrics"));
    // Files of old may have one twice.
    if (std::none_of(metrics.begin(), metrics.end(),
                     [&](const Metric& other) { return other.spec == read.spec; }))
      metrics.push_back(std::move(read));
  }
  return metrics;
}

Json targets_json(const data::Targets& targets) {
  Json note{{"width", targets.width}, {"by_frame", targets.by_frame}, {"names", targets.names}};
  if (!targets.classes.empty()) note["classes"] = targets.classes;
  if (targets.symbols) note["between_symbols"] = targets.between;
  return note;
}

// One output that is the last layer and learns all is told by its loss and metrics alone.
bool is_plain(const std::vector<ModelOutput>& outputs) {
  return outputs.size() == 1 && outputs.front().layer.empty() && outputs.front().targets.empty() &&
         outputs.front().weight == 1;
}

Json outputs_json(const std::vector<ModelOutput>& outputs, const DataShape& shape) {
  Json list = Json::array();
  for (const ModelOutput& output : outputs)
    list.push_back({{"layer", output.layer},
                    {"loss", loss_json(output.loss, shape)},
                    {"metrics", metrics_json(output.metrics)},
                    {"weight", output.weight},
                    {"targets", output.targets}});
  return list;
}

}  // namespace

void write_target_scales(Store& store, const std::vector<data::TargetScale>& scales) {
  if (scales.empty()) return;
  Json list = Json::array();
  for (const data::TargetScale& scale : scales) list.push_back({scale.mean, scale.deviation});
  store.metadata()[scales_note] = list.dump();
}

std::vector<data::TargetScale> read_target_scales(const Store& store, const std::string& file) {
  std::vector<data::TargetScale> scales;
  if (!store.metadata().contains(scales_note)) return scales;
  const auto damaged = [&] {
    throw UserError(fmt::format("'{}': its note '{}' is damaged; save it again", file, scales_note));
  };
  try {
    const Json list = parse_json(note_of(store, scales_note, file));
    for (const auto& scale : list) scales.push_back({scale.at(0).get<float>(), scale.at(1).get<float>()});
  } catch (const Json::exception&) {
    damaged();
  }
  if (scales.empty()) damaged();  // none are not written
  for (const data::TargetScale& scale : scales)
    if (!std::isfinite(scale.mean) || !std::isfinite(scale.deviation) || !(scale.deviation > 0)) damaged();
  return scales;
}

void write_header(Store& store, const ModelHeader& header) {
  auto& notes = store.metadata();
  notes["layers"] = to_json(header.layers);
  if (const Json plugins = plugins_of(header.layers); !plugins.empty()) notes["plugins"] = plugins.dump();
  notes["input"] =
      Json{{"sequences", header.shape.sequences}, {"dimensions", header.shape.dimensions}}.dump();
  notes["classes"] = Json(header.shape.classes).dump();
  if (header.shape.targets.width > 0) notes["targets"] = targets_json(header.shape.targets).dump();
  write_target_scales(store, header.shape.target_scales);
  if (!header.shape.columns.empty()) {
    Json columns = Json::array();
    for (const data::Column& column : header.shape.columns) columns.push_back({column.name, column.width});
    notes["inputs"] = columns.dump();
  }
  if (is_plain(header.outputs)) {
    notes["loss"] = loss_json(header.outputs.front().loss, header.shape).dump();
    notes["metrics"] = metrics_json(header.outputs.front().metrics).dump();
  } else {
    notes["outputs"] = outputs_json(header.outputs, header.shape).dump();
  }
}

namespace {

data::Targets targets_of(const Store& store, const std::string& file) {
  data::Targets targets;
  if (!store.metadata().contains("targets")) return targets;
  const auto note = parse_json(note_of(store, "targets", file));
  targets.width = note.at("width").get<int64_t>();
  targets.by_frame = note.at("by_frame").get<bool>();
  targets.names = note.at("names").get<std::vector<std::string>>();
  if (note.contains("classes"))
    targets.classes = note.at("classes").get<std::vector<std::vector<std::string>>>();
  targets.symbols = note.contains("between_symbols");
  if (targets.symbols) targets.between = note.at("between_symbols").get<std::string>();
  return targets;
}

void read_outputs(const Store& store, const std::string& file, ModelHeader& header) {
  if (store.metadata().contains("inputs"))
    for (const auto& column : parse_json(note_of(store, "inputs", file)))
      header.shape.columns.push_back({column.at(0).get<std::string>(), column.at(1).get<int64_t>()});
  if (store.metadata().contains("outputs")) {
    header.outputs.clear();
    for (const auto& output : parse_json(note_of(store, "outputs", file)))
      header.outputs.push_back({output.at("layer").get<std::string>(), loss_from(output.at("loss")),
                                metrics_from(output.at("metrics")), output.at("weight").get<double>(),
                                output.at("targets").get<std::vector<std::string>>()});
    if (header.outputs.empty())
      throw UserError(fmt::format("'{}': its note 'outputs' is damaged; save it again", file));
    return;
  }
  // Models that were saved before other losses were known have the default.
  if (!store.metadata().contains("loss")) return;
  header.outputs.front().loss = loss_from(parse_json(note_of(store, "loss", file)));
  header.outputs.front().metrics = metrics_from(parse_json(note_of(store, "metrics", file)));
}

bool are_possible(const data::Targets& targets) {
  return targets.width >= 0 && targets.width <= most_targets &&
         (targets.names.empty() || targets.names.size() == static_cast<size_t>(targets.width)) &&
         targets.classes.size() <= static_cast<size_t>(targets.width) &&
         (!targets.symbols || (targets.width == 1 && !targets.by_frame));
}
// Whether columns are all dimensions.
bool are_possible(const DataShape& shape) {
  int64_t left = shape.dimensions;
  for (const data::Column& column : shape.columns) {
    if (column.width < 1 || column.width > left) return false;
    left -= column.width;
  }
  return shape.columns.empty() || left == 0;
}

}  // namespace

ModelHeader read_header(const Store& store, const std::string& file, std::vector<std::string>* missing) {
  check_format(store, model_format, file);
  check_plugins(store, file, missing);
  ModelHeader header;
  const std::string& layers = note_of(store, "layers", file);
  at_place(fmt::format("'{}': ", file), [&] { header.layers = layers_from_json(layers); });
  try {
    const auto input = parse_json(note_of(store, "input", file));
    header.shape.sequences = input.at("sequences").get<bool>();
    header.shape.dimensions = input.at("dimensions").get<int64_t>();
    header.shape.classes = parse_json(note_of(store, "classes", file)).get<std::vector<std::string>>();
  } catch (const Json::exception&) {
    throw UserError(fmt::format("'{}': its note 'input' or 'classes' is damaged; save it again", file));
  }
  try {
    header.shape.targets = targets_of(store, file);
    at_place(fmt::format("'{}': ", file), [&] { read_outputs(store, file, header); });
  } catch (const Json::exception&) {
    throw UserError(fmt::format(
        "'{}': its note 'targets', 'inputs', 'outputs', 'loss' or 'metrics' is damaged; save it again",
        file));
  }
  header.shape.target_scales = read_target_scales(store, file);
  for (const auto& [note, fine] :
       {std::pair("targets", are_possible(header.shape.targets)),
        std::pair(scales_note, header.shape.target_scales.empty() ||
                                   std::ssize(header.shape.target_scales) == header.shape.targets.width),
        std::pair("inputs", are_possible(header.shape)), std::pair("input", header.shape.dimensions >= 1)})
    if (!fine) throw UserError(fmt::format("'{}': its note '{}' is damaged; save it again", file, note));
  return header;
}

void check_finite(const Store& store, const std::string& file) {
  for (const auto& [name, tensor] : store)
    if (!is_finite(tensor))
      throw UserError(
          fmt::format("'{}': tensor '{}' holds NaN or infinity; train the model again", file, name));
}

void round_weights(Store& store, const Network& network, NumberForm form, const std::string& file) {
  if (form == NumberForm::float32) return;
  // All of them first: a store is rounded as a whole or not at all.
  Store result;
  for (int32_t id = 0; id < network.graph->size(); ++id) {
    const Node& node = network.graph->node(id);
    const Tensor* weights = store.find(node.name);
    if (node.op->traits.source != SourceKind::parameter || weights == nullptr || weights->dtype() != f32)
      continue;
    if (!is_finite(*weights))
      throw UserError(
          fmt::format("'{}': tensor '{}' holds NaN or infinity, which have no place among {}; train "
                      "the model again",
                      file, node.name, name_of(form)));
    const NumberForm own = weights->extents().size() < 2 ? NumberForm::float16 : form;
    Tensor near = rounded(*weights, own);
    if (!is_finite(near))
      throw UserError(
          fmt::format("'{}': tensor '{}' holds numbers beyond 65504, the largest of float16; keep the "
                      "weights as f32",
                      file, node.name));
    result.set(node.name, std::move(near));
  }
  for (const auto& [name, tensor] : result) store.set(name, tensor);
}

void save_model(Store& store, const std::string& file, Packing packing) {
  check_finite(store, "the model");
  seal(store, model_format);
  store.save(file, packing);
}

Store parameters_of(const Network& network, const Store& store, const std::string& file) {
  Store result;
  for (int32_t id = 0; id < network.graph->size(); ++id) {
    const Node& node = network.graph->node(id);
    const SourceKind kind = node.op->traits.source;
    // Random numbers and factors of penalties are for training only.
    if ((kind != SourceKind::parameter && kind != SourceKind::state) || node.name == random_state_name ||
        node.name.starts_with(l1_factors_of("")))
      continue;
    const Tensor* found = store.find(node.name);
    if (found == nullptr)
      throw UserError(fmt::format("'{}' has no tensor '{}'; save the model again", file, node.name));
    if (found->type() != node.outputs[0])
      throw UserError(fmt::format("'{}': tensor '{}' is {}, but its layers make it {}; save the model again",
                                  file, node.name, text(found->type()), text(node.outputs[0])));
    result.set(node.name, found->clone());
  }
  return result;
}

}  // namespace lariat
