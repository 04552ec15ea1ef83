#include "frontends/sequential/layer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontends/sequential/layer_records.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "ops/ops.hpp"

namespace lariat {

Value LayerContext::parameter(const std::string& what, Extents extents, const Initializer& initializer,
                              const WeightPenalty& penalty) {
  const Value parameter = graph.parameter(name + "/" + what, std::move(extents), initializer);
  if (penalty) {
    if (const std::string op = unknown_op(penalty); op.empty()) {
      penalties_.values.push_back(penalty_of(parameter, penalty));
    } else {
      penalties_.unknown_op = op;
    }
    penalties_.by_parameter[parameter.name()] = penalty;
  }
  return parameter;
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

}  // namespace

void LayerContext::need_sequence(const Signal& input) const {
  const Shape& shape = input.value.shape();
  if (input.is_sequence() && shape.size() == 3) return;
  const std::string before = input.is_sequence() ? "" : layer_of_last_state(input.value);
  fail(fmt::format("takes sequences [batch, time, channels]; got {}{}", text(shape),
                   input.is_sequence() ? "; put flatten before it"
                   : before.empty()    ? ""
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

std::string to_json(const std::vector<LayerSpec>& layers) {
  std::string result;
  for (const LayerSpec& layer : layers)
    result += (result.empty() ? "" : ",") + layer_kind_of(layer).spec.to_json(layer);
  return "[" + result + "]";
}

std::vector<LayerSpec> layers_from_json(std::string_view json) {
  const auto array = parse_json(json);
  if (!array.is_array())
    throw UserError("the layers are not a JSON array such as [{\"kind\": \"dense\", \"units\": 10}]");
  std::vector<LayerSpec> layers;
  for (const auto& object : array)
    layers.push_back(
        spec_from_json(layer_spec_kinds(), object.dump(), fmt::format("layers.{}", layers.size())));
  return layers;
}

int64_t frames_needed(const std::vector<LayerSpec>& layers) {
  int64_t frames = 1;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer)
    frames = layer_kind_of(*layer).frames_needed(*layer, frames);
  return frames;
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
