#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <sstream>

#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "frontends/spec/op_attributes.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/ir/registry.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat {

namespace {

struct OpFields {
  std::string op, attributes, weights;
  WeightPenalty weight_penalty;
};

std::string as_it_is(const std::string& text) { return text; }

std::string parse_op(std::string_view name, std::string_view text) {
  if (text.empty()) throw UserError(fmt::format("{} = '': must be the name of an op", name));
  return std::string(text);
}

const Fields<OpFields>& op_fields() {
  static const Fields<OpFields> list =
      Fields<OpFields>()
          .parsed("op", &OpFields::op, "the name of an op", "an op, as lariat ops list names it", as_it_is,
                  parse_op)
          .text("attributes", &OpFields::attributes, "its attributes, such as beta = 2, axes = 0 1")
          .text("weights", &OpFields::weights,
                "its inputs behind the first as weights, such as gamma = channels : 1, kernel = channels 32")
          .parsed("weight_penalty", &OpFields::weight_penalty, weight_penalty_range,
                  "penalties of each weight", to_text, parse_weight_penalty);
  return list;
}

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && rest == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

std::optional<double> real_number(std::string_view text) {
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool all = error == std::errc{} && rest == text.data() + text.size() && std::isfinite(number);
  return all ? std::optional(number) : std::nullopt;
}

struct Weight {
  std::string name;
  Extents extents;
  Initializer initializer;
};

// "gamma = channels : 1, kernel = channels 32": sizes, of which `channels` is the input's, and behind a colon
// the first value, or glorot; without one vectors begin at 0.
std::vector<Weight> weights_of(const OpDef& op, const std::string& text, int64_t channels) {
  std::vector<Weight> weights;
  for (const std::string& entry : split_words(text)) {
    const auto [name, rest] = sides_of(entry);
    const auto [sizes, first] = sides_of(rest, ':');
    const auto refuse = [&, name = name](const std::string& why) {
      throw UserError(fmt::format("weights = {}: '{}' {}", text, name, why));
    };
    std::vector<std::string> known;
    for (size_t i = 1; i < op.inputs.size(); ++i) known.push_back(op.inputs[i].name);
    if (std::find(known.begin(), known.end(), name) == known.end())
      refuse(fmt::format("is no input of '{}' behind its first.{}", op.name, did_you_mean(name, known)));
    Weight weight{name, {}, {}};
    std::string size;
    for (std::istringstream words(sizes); words >> size;) {
      const auto number = size == "channels" ? channels : whole_number(size).value_or(0);
      if (number < 1) refuse("needs sizes from 1 up, or channels, such as channels 32");
      weight.extents.push_back(number);
    }
    const bool is_matrix = weight.extents.size() > 1;
    if (first == "glorot" || (first.empty() && is_matrix)) {
      if (!is_matrix) refuse("is no matrix, which glorot is for");
      weight.initializer = init::glorot_uniform();
    } else {
      const auto value = first.empty() ? 0 : real_number(first);
      if (!value) refuse(fmt::format("begins at '{}'; it must be a number or glorot", first));
      weight.initializer = init::constant(*value);
    }
    weights.push_back(weight);
  }
  return weights;
}

// The signal, and the weights in the order of the op's inputs.
std::vector<Value> inputs_of(LayerContext& context, const Signal& input, const OpDef& op,
                             const OpFields& options) {
  const std::vector<Weight> weights = weights_of(op, options.weights, input.channels());
  std::vector<Value> inputs{masked(input)};
  for (size_t i = 1; i < op.inputs.size(); ++i) {
    const auto named = [&](const Weight& weight) { return weight.name == op.inputs[i].name; };
    const auto found = std::find_if(weights.begin(), weights.end(), named);
    if (std::count_if(weights.begin(), weights.end(), named) != 1)
      throw UserError(
          fmt::format("'{}' takes {} inputs, the layer's and weights; say once what '{}' is: weights = {} = "
                      "channels",
                      op.name, op.inputs.size(), op.inputs[i].name, op.inputs[i].name));
    inputs.push_back(
        context.parameter(found->name, found->extents, found->initializer, options.weight_penalty));
  }
  return inputs;
}

Signal build_op(LayerContext& context, const Signal& input, const OpFields& options) {
  const OpDef* op = registry().find(options.op);
  if (op == nullptr) {
    std::vector<std::string> names;
    for (const OpDef* known : registry().all()) names.push_back(known->name);
    const std::string nearest = nearest_name(options.op, names);
    context.fail(fmt::format("there is no op '{}'{}; if it is a plugin's, {}", options.op,
                             nearest.empty() ? "" : fmt::format(" (nearest: '{}')", nearest),
                             how_to_load_plugins));
  }
  if (op->traits.source != SourceKind::none || op->variadic)
    context.fail(fmt::format("'{}' is no op of a layer; name one of a known number of inputs", op->name));
  Value result;
  try {
    const std::vector<std::string> entries = split_words(options.attributes);
    Attributes attributes;
    at_place(fmt::format("attributes = {}: ", options.attributes),
             [&] { attributes = attributes_from_text(*op, entries); });
    result = context.graph.add(*op, inputs_of(context, input, *op, options), attributes, context.name);
  } catch (const UserError& error) {
    context.fail(error.what());
  }
  const Shape &before = input.value.shape(), &after = result.shape();
  const size_t kept = input.is_sequence() ? 2 : 1;
  if (after.size() < kept + 1 ||
      !std::equal(before.begin(), before.begin() + static_cast<int64_t>(kept), after.begin()) ||
      !after.back().known())
    context.fail(fmt::format("'{}' makes {} of {}; a layer keeps batch{} and has channels of a known number",
                             op->name, text(after), text(before), input.is_sequence() ? ", time" : ""));
  // The op need not be finite at the zeros behind a sequence's end: they are chosen away on both sides of it.
  return {masked({result, input.lengths}), input.lengths};
}

}  // namespace

LayerKind layer_records::op() {
  return layer_kind("op", "any op, a plugin's for instance", op_fields(), build_op)
      .with(joined_channels("what its op does with channels is not known"));
}

OpLayer::OpLayer(const std::string& op, const std::string& attributes, const OpLayerOptions& options)
    : LayerSpec(op_fields().write("op", {op, attributes, options.weights, options.weight_penalty})) {}

}  // namespace lariat
