#include "frontends/sequential/layer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "frontends/data/option_table.hpp"
#include "frontends/sequential/layer_records.hpp"
#include "frontends/spec/initializers.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/op_def.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

std::string text_of_initializer(const std::string& text) { return text; }
std::string parse_initializer(std::string_view name, std::string_view text) {
  if (!text.empty()) initializer_from_text(text, name);
  return std::string(text);
}

// A matrix, or filters, that are a layer's own rather than of its state.
bool is_kernel(std::string_view what) {
  return what == "kernel" || what.ends_with("/kernel") || what == "table";
}

}  // namespace

const Fields<LayerPlace>& place_fields() {
  static const Fields<LayerPlace> list =
      Fields<LayerPlace>()
          .text("name", &LayerPlace::name, "what other layers call it; empty: its kind and number")
          .list("input", &LayerPlace::input,
                "the layers, or columns of the data, that it takes; empty: the layer before")
          .list("initial_state", &LayerPlace::initial_state,
                "of recurrent layers: what each state begins with, such as [\"encoder.hidden\", "
                "\"encoder.cell\"], the states that a layer ends with, a layer, or a column of the data; "
                "empty: zeros")
          .text("shares", &LayerPlace::shares, "the layer whose weights and options it has as well")
          .boolean("trainable", &LayerPlace::trainable, "whether training moves its weights")
          .number("learning_rate_factor", &LayerPlace::learning_rate_factor, 0, 1e6,
                  "times the optimizer's learning rate")
          .number("weight_decay", &LayerPlace::weight_decay, 0, 1e6,
                  "the learning rate times this share of the weights is taken off at each step")
          .parsed("kernel_initializer", &LayerPlace::kernel_initializer,
                  "an initialiser, such as he_normal or uniform half_width=0.1",
                  "what its kernels are at first; empty: as the kind of layer has it", text_of_initializer,
                  parse_initializer)
          .lines("input_groups", &LayerPlace::input_groups,
                 "columns of the data that the penalty group_inputs has as one, such as [\"height, width\", "
                 "\"0-15\"]; each of the others is one by itself");
  return list;
}

LayerPlace place_of(const LayerSpec& layer) { return place_fields().read(layer); }

SpecKind with_place(SpecKind kind) {
  for (SpecOption option : place_fields().kind("", "").options) {
    option.optional = true;
    kind.options.push_back(std::move(option));
  }
  return kind;
}

LayerSpec::LayerSpec(std::string kind, std::vector<std::pair<std::string, std::string>> given)
    : Spec{std::move(kind), std::move(given)}, identity(std::make_shared<int>()) {
  for (const SpecOption& option : place_fields().kind("", "").options) {
    const bool known = std::any_of(options.begin(), options.end(),
                                   [&](const auto& entry) { return entry.first == option.name; });
    if (!known) options.emplace_back(option.name, option.default_value);
  }
}

LayerSpec LayerSpec::named(const std::string& name) const { return with("name", name); }
LayerSpec LayerSpec::frozen() const { return with("trainable", "false"); }

LayerSpec LayerSpec::grouped(const std::vector<std::vector<std::string>>& columns) const {
  std::vector<std::string> lines;
  for (const std::vector<std::string>& group : columns) lines.push_back(join_words(group));
  return with("input_groups", join_lines(lines));
}

LayerSpec LayerSpec::with(const std::string& option, const std::string& value) const {
  LayerSpec changed = *this;
  const SpecKind& known = layer_kind_of(*this).spec;
  at_place(kind + ": ", [&] { known.set(changed, known.at(option, "the layer"), value); });
  return changed;
}

Value LayerContext::parameter(const std::string& what, Extents extents, const Initializer& initializer,
                              const WeightPenalty& penalty) {
  const std::string full = owner_ + "/" + what;
  if (graph.source_id(full) >= 0) {
    const Value shared = graph.find_source(full);
    if (const Shape needed(extents.begin(), extents.end()); !(shared.shape() == needed))
      fail(fmt::format("shares '{}', which is {}, but needs {}: what goes into both must be of one width",
                       full, text(shared.shape()), text(needed)));
    return shared;
  }
  const bool chosen = !place_.kernel_initializer.empty() && is_kernel(what);
  const Value parameter = graph.parameter(
      full, std::move(extents),
      chosen ? initializer_from_text(place_.kernel_initializer, "kernel_initializer") : initializer);
  if (!place_.trainable) {
    penalties_.frozen.insert(full);
    return parameter;
  }
  if (const LayerSteps& group = place_; !(group == LayerSteps{})) penalties_.groups[full] = group;
  if (penalty) {
    if (const std::string op = unknown_op(penalty); op.empty()) {
      RowGroups rows;
      if (penalty.group_inputs > 0) penalties_.input_rows[full] = rows = input_rows(what);
      penalties_.values.push_back(penalty_of(parameter, penalty, rows));
    } else {
      penalties_.unknown_op = op;
    }
    penalties_.by_parameter[parameter.name()] = penalty;
  }
  return parameter;
}

namespace {

// The columns that a word of a group means: a name, or, where columns are counted, numbers such as 0-15.
std::vector<std::string> columns_meant(const std::string& word, const std::set<std::string>& known) {
  if (known.contains(word)) return {word};
  const size_t dash = word.find('-');
  int64_t first = 0, last = -1;
  const auto number = [](std::string_view text, int64_t& value) {
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && rest == text.data() + text.size();
  };
  std::vector<std::string> columns;
  if (dash != word.npos && number(std::string_view(word).substr(0, dash), first) &&
      number(std::string_view(word).substr(dash + 1), last) &&
      last - first < static_cast<int64_t>(known.size()))
    for (; first <= last; ++first) columns.push_back(fmt::format("{}", first));
  const bool all = std::all_of(columns.begin(), columns.end(),
                               [&](const std::string& column) { return known.contains(column); });
  return all ? columns : std::vector<std::string>{};
}

}  // namespace

RowGroups LayerContext::input_rows(const std::string& what) const {
  if (!is_kernel(what) || what == "table" || !columns_)
    fail(
        fmt::format("group_inputs is for a kernel that takes columns of the data, and '{}' does not; give it "
                    "group_rows",
                    what));
  std::map<std::string, size_t> group_of;
  for (size_t group = 0; group < place_.input_groups.size(); ++group)
    for (const std::string& word : split_words(place_.input_groups[group])) {
      const std::vector<std::string> columns = columns_meant(word, columns_->known);
      if (columns.empty())
        fail(fmt::format("input_groups = {}: the data have no column '{}'.{}",
                         data::shortened(place_.input_groups[group]), data::shortened(word),
                         did_you_mean(word, {columns_->known.begin(), columns_->known.end()})));
      for (const std::string& column : columns)
        if (const auto [found, is_first] = group_of.emplace(column, group); !is_first)
          fail(fmt::format("input_groups: the column '{}' is there twice; leave one out", column));
    }
  RowGroups rows(place_.input_groups.size());
  for (size_t row = 0; row < columns_->names.size(); ++row) {
    const auto [found, alone] = group_of.emplace(columns_->names[row], rows.size());
    if (alone) rows.emplace_back();
    rows[found->second].push_back(static_cast<int64_t>(row));
  }
  // Of what a layer has left out.
  std::erase_if(rows, [](const std::vector<int64_t>& group) { return group.empty(); });
  return rows;
}

void LayerContext::check_place() const {
  if (LayerSteps(place_) == LayerSteps() && place_.kernel_initializer.empty() && place_.input_groups.empty())
    return;
  const std::string prefix = owner_ + "/";
  bool weights = false, kernels = false;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (const Node& node = graph.node(id);
        node.op->traits.source == SourceKind::parameter && node.name.starts_with(prefix)) {
      weights = true;
      kernels = kernels || is_kernel(node.name.substr(prefix.size()));
    }
  if (!weights && place_.learning_rate_factor != 1)
    fail(fmt::format("learning_rate_factor = {}: has no effect on a layer without weights; leave it out",
                     place_.learning_rate_factor));
  if (!weights && place_.weight_decay != 0)
    fail(fmt::format("weight_decay = {}: has no effect on a layer without weights; leave it out",
                     place_.weight_decay));
  if (!kernels && !place_.kernel_initializer.empty())
    fail(fmt::format("kernel_initializer = {}: has no effect on a layer without kernels; leave it out",
                     place_.kernel_initializer));
  if (place_.input_groups.empty() || !place_.trainable) return;
  const auto grouped = penalties_.input_rows.lower_bound(prefix);
  if (grouped == penalties_.input_rows.end() || !grouped->first.starts_with(prefix))
    fail(
        "input_groups has no effect without the penalty group_inputs; write kernel_penalty = "
        "\"group_inputs=1e-3\"");
}

void LayerContext::penalise(Value penalty, const std::string& text, const std::vector<Value>& parameters) {
  penalties_.values.push_back(penalty);
  penalties_.shared_values.push_back(penalty);
  for (const Value parameter : parameters) penalties_.shared[parameter.name()] = text;
}

void LayerContext::fail(const std::string& message) const {
  throw UserError(fmt::format("layer {}: {}", name, message));
}

Value LayerContext::state(const std::string& what, Extents extents, const Initializer& initializer) {
  return graph.state(name + "/" + what, std::move(extents), initializer);
}

void LayerContext::update(Value state, Value next) { carry(state, by_phase(next, state)); }

void LayerContext::carry(Value state, Value next) { graph.update(state.name(), next); }

std::vector<std::pair<std::string, int64_t>> carried_states(const Graph& graph) {
  std::vector<std::pair<std::string, int64_t>> states;
  // Updates of training alone are by_phase().
  for (const Output& output : graph.outputs())
    if (output.is_update && graph.node(output.value.node).op->traits.inference_input < 0)
      states.emplace_back(output.name, graph.node(graph.source_id(output.name)).outputs[0].shape[0].size());
  return states;
}

namespace {

// What last_state() calls its result, behind the layer's name.
constexpr std::string_view last_state_name = "/last_state";

// The layer that made one frame of a sequence, and which need not, or "".
std::string layer_of_last_state(Value value) {
  std::string layer;
  for (const int32_t id : nodes_behind(value))
    if (const std::string& name = value.graph().node(id).name; name.ends_with(last_state_name))
      layer = name.substr(0, name.size() - last_state_name.size());
  return layer;
}

bool is_of_layer(Value value, const std::string& layer) {
  const std::vector<int32_t> behind = nodes_behind(value);
  return std::any_of(behind.begin(), behind.end(),
                     [&](int32_t id) { return value.graph().node(id).name.starts_with(layer + "/"); });
}

}  // namespace

void LayerContext::need_sequence(const Signal& input) const {
  const Shape& shape = input.value.shape();
  if (input.is_sequence() && shape.size() == 3) return;
  const std::string before = input.is_sequence() ? "" : layer_of_last_state(input.value);
  for (const std::string& given : place_.input) {
    const std::string of = given.substr(0, given.rfind('.'));
    if (!input.is_sequence() && of != given && is_of_layer(input.value, of))
      fail(fmt::format(
          "takes sequences [batch, time, channels]; got {}, for {} is one vector for each example; "
          "take {} with return_sequences = true",
          text(shape), given, of));
  }
  fail(fmt::format("takes sequences [batch, time, channels]; got {}{}", text(shape),
                   input.is_sequence() ? "; put flatten before it"
                   : before.empty()    ? "; these have no time axis: take dense, or data with one, such as "
                                         "arrays [examples, frames, values]"
                                       : fmt::format("; give {} return_sequences = true", before)));
}

Value LayerContext::last_state(Value states, Value lengths) const {
  return last_step(states, lengths).named(name + std::string(last_state_name));
}

Signal LayerContext::images(const Signal& input) const {
  const Shape& shape = input.value.shape();
  if (shape.size() == 4) return input;
  if (input.is_sequence()) return {reshape(input.value, {shape[0], shape[1], shape[2], 1}), input.lengths};
  fail(fmt::format("takes images [batch, height, width, channels] or sequences; got {}; put image before it",
                   text(shape)));
}

Tensor LayerInModel::weight(const std::string& what) const { return weights.get(name + "/" + what); }

void LayerInModel::set_options(const Spec& options) const {
  LayerSpec changed = options;
  for (const SpecOption& option : place_fields().kind("", "").options)
    changed = changed.with(option.name, spec.at(option.name));
  spec = std::move(changed);
}

void LayerInModel::set_weight(const std::string& what, Tensor tensor) const {
  weights.set(name + "/" + what, std::move(tensor));
}

void LayerInModel::keep(const std::string& what, int axis, const std::vector<int64_t>& places) const {
  const Tensor all = weight(what);
  Extents extents = all.extents();
  const auto at = static_cast<size_t>(axis < 0 ? axis + static_cast<int>(extents.size()) : axis);
  const int64_t count = extents[at],
                inner = element_count(Extents(extents.begin() + static_cast<int64_t>(at) + 1, extents.end()));
  extents[at] = static_cast<int64_t>(places.size());
  Tensor result(all.dtype(), extents);
  const size_t bytes = static_cast<size_t>(inner) * size_of(all.dtype());
  const auto* from = static_cast<const std::byte*>(all.view().data);
  auto* to = static_cast<std::byte*>(result.view().data);
  const int64_t outer = inner == 0 || count == 0 ? 0 : all.count() / (inner * count);
  for (int64_t block = 0; block < outer; ++block)
    for (const int64_t place : places) {
      std::copy_n(from + static_cast<size_t>(block * count + place) * bytes, bytes, to);
      to += bytes;
    }
  set_weight(what, std::move(result));
}

const std::vector<LayerKind>& layer_kinds() {
  static const std::vector<LayerKind> kinds = {
#define LARIAT_LAYER(name) layer_records::name(),
#include "layer_records.inc"
#undef LARIAT_LAYER
  };
  return kinds;
}

const LayerKind& layer_kind_of(const LayerSpec& layer) {
  const auto found = std::find_if(layer_kinds().begin(), layer_kinds().end(),
                                  [&](const LayerKind& kind) { return kind.spec.name == layer.kind; });
  require(found != layer_kinds().end(), "a layer is of a listed kind");
  return *found;
}

const SpecKinds& layer_spec_kinds() {
  static const SpecKinds kinds = [] {
    SpecKinds result;
    for (const LayerKind& kind : layer_kinds()) result.push_back(&kind.spec);
    return result;
  }();
  return kinds;
}

LayerSpec make_layer(std::string_view text) { return spec_from_text(layer_spec_kinds(), text, "layer"); }

std::vector<std::string> names_of(const std::vector<LayerSpec>& layers) {
  std::map<std::string, int> counts;
  std::vector<std::string> names;
  for (const LayerSpec& layer : layers) {
    const int count = ++counts[layer.kind];
    const std::string& name = layer.at("name");
    names.push_back(name.empty() ? fmt::format("{}_{}", layer.kind, count) : name);
  }
  return names;
}

bool has_bias(const LayerSpec& layer) {
  return std::find(layer.options.begin(), layer.options.end(),
                   std::pair<std::string, std::string>("use_bias", "false")) == layer.options.end();
}

std::vector<LayerSpec> penalised(std::vector<LayerSpec> layers, const GeneralPenalty& penalty) {
  const std::vector<std::string> names = names_of(layers);
  for (const std::string& name : penalty.except)
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw UserError(
          fmt::format("except = {}: there is no layer of that name.{}", name, did_you_mean(name, names)));
  if (!penalty.except.empty() && !penalty.kernels && !penalty.biases)
    throw UserError(
        fmt::format("except = {}: has no effect without kernels or biases, from which these are left out; "
                    "set one of the two",
                    fmt::join(penalty.except, ", ")));
  const std::string none = to_text(WeightPenalty{});
  const std::map<std::string, WeightPenalty> general{{"kernel_penalty", penalty.kernels},
                                                     {"recurrent_penalty", penalty.kernels},
                                                     {"table_penalty", penalty.kernels},
                                                     {"weight_penalty", penalty.kernels},
                                                     {"bias_penalty", penalty.biases}};
  for (size_t i = 0; i < layers.size(); ++i) {
    const bool left_out =
        std::find(penalty.except.begin(), penalty.except.end(), names[i]) != penalty.except.end();
    // A layer that shares has the penalties of the other.
    if (left_out || !layers[i].at("shares").empty()) continue;
    const bool biased = has_bias(layers[i]);
    for (auto& [option, value] : layers[i].options)
      if (const auto found = general.find(option);
          found != general.end() && value == none && (biased || option != "bias_penalty"))
        value = to_text(found->second);
  }
  return layers;
}

PenaltiesThere penalties_of(const std::vector<LayerSpec>& layers) {
  PenaltiesThere there;
  std::vector<LayerSpec> all = layers;
  for (size_t i = 0; i < all.size(); ++i) {
    const LayerSpec layer = all[i];
    if (!place_of(layer).trainable) continue;
    for (const auto& [option, value] : layer.options) {
      // Those within a time_distributed.
      if (option == "layers")
        for (const std::string& line : split_lines(value)) all.push_back(make_layer(line));
      const bool units = option == "group_units" && value != "0";
      if (!units && !option.ends_with("_penalty")) continue;
      const WeightPenalty penalty = units ? l1(1) : parse_weight_penalty(option, value);
      there.any = there.any || bool(penalty);
      there.makes_zeros = there.makes_zeros || penalty.makes_zeros();
    }
  }
  return there;
}

Value frame_mask(const Signal& signal) {
  const Shape& shape = signal.value.shape();
  Shape broadcast(shape.size(), 1);
  std::copy_n(shape.begin(), 2, broadcast.begin());
  return reshape(sequence_mask(signal.lengths, signal.value), broadcast);
}

// Chosen, not multiplied: what lies behind the end may be infinite.
Value masked(const Signal& signal) {
  return signal.is_sequence() ? where(frame_mask(signal), signal.value, 0) : signal.value;
}

Value scaled_lengths(Value lengths, int64_t add, int64_t divisor) {
  if (add == 0 && divisor == 1) return lengths;
  // Quotients of 32-bit integers are far enough apart for a double.
  const Value quotient = (cast(lengths, f64) + static_cast<double>(add)) / static_cast<double>(divisor);
  return cast(maximum(quotient, 0.0), i32);
}

}  // namespace lariat
