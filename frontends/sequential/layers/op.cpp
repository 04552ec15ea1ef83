#include <fmt/format.h>

#include <charconv>

#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/records.hpp"
#include "graph/builder.hpp"
#include "graph/error.hpp"
#include "graph/op_def.hpp"
#include "graph/registry.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat {

namespace {

struct Options {
  std::string op, attributes;
};

std::string as_it_is(const std::string& text) { return text; }

std::string parse_op(std::string_view name, std::string_view text) {
  if (text.empty()) throw UserError(fmt::format("{} = '': must be the name of an op", name));
  return std::string(text);
}

const Fields<Options>& fields() {
  static const Fields<Options> list =
      Fields<Options>()
          .parsed("op", &Options::op, "the name of an op", "an op of one input, as lariat ops list names it",
                  as_it_is, parse_op)
          .text("attributes", &Options::attributes, "its attributes, such as beta = 2, axes = 0 1");
  return list;
}

template <class T>
std::optional<T> number_of(std::string_view text) {
  T number{};
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Attribute> attribute_of(AttributeKind kind, std::string_view text) {
  switch (kind) {
    case AttributeKind::boolean:
      return text == "true" || text == "false" ? std::optional<Attribute>(text == "true") : std::nullopt;
    case AttributeKind::integer:
      return number_of<int64_t>(text);
    case AttributeKind::real:
      return number_of<double>(text);
    case AttributeKind::string:
      return std::string(text);
    case AttributeKind::integers: {
      std::vector<int64_t> numbers;
      for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find(' ', begin), text.size());
        const auto number = number_of<int64_t>(text.substr(begin, end - begin));
        if (!number) return std::nullopt;
        numbers.push_back(*number);
        begin = end + 1;
      }
      return numbers;
    }
    default:
      return std::nullopt;
  }
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Attributes attributes_of(const OpDef& op, const std::string& text) {
  Attributes result;
  for (const std::string& entry : split_words(text)) {
    const size_t equals = std::min(entry.find('='), entry.size());
    const std::string name(trimmed(std::string_view(entry).substr(0, equals)));
    const std::string_view value =
        equals == entry.size() ? "" : trimmed(std::string_view(entry).substr(equals + 1));
    const auto spec = std::find_if(op.attributes.begin(), op.attributes.end(),
                                   [&](const AttributeSpec& known) { return known.name == name; });
    if (spec == op.attributes.end()) {
      std::vector<std::string> known;
      for (const AttributeSpec& other : op.attributes) known.push_back(other.name);
      throw UserError(fmt::format("attributes = {}: '{}' has no attribute '{}'.{}", text, op.name, name,
                                  known.empty() ? " It has none." : did_you_mean(name, known)));
    }
    const auto attribute = attribute_of(spec->kind, value);
    if (!attribute)
      throw UserError(fmt::format("attributes = {}: '{}' must be {}", text, name, name_of(spec->kind)));
    result.set(name, *attribute);
  }
  return result;
}

Signal build(LayerContext& context, const Signal& input, const Options& options) {
  const OpDef* op = registry().find(options.op);
  if (op == nullptr) {
    std::vector<std::string> names;
    for (const OpDef* known : registry().all()) names.push_back(known->name);
    const std::string nearest = nearest_name(options.op, names);
    context.fail(fmt::format("there is no op '{}'{}; if it is a plugin's, {}", options.op,
                             nearest.empty() ? "" : fmt::format(" (nearest: '{}')", nearest),
                             how_to_load_plugins));
  }
  if (op->inputs.size() != 1 || op->traits.source != SourceKind::none)
    context.fail(fmt::format("'{}' takes {} inputs; a layer's op takes one", op->name, op->inputs.size()));
  Value result;
  try {
    result = lariat::build(op->name, {masked(input)}, attributes_of(*op, options.attributes), context.name);
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
  return layer_kind("op", "any op of one input, a plugin's for instance", fields(), build);
}

OpLayer::OpLayer(const std::string& op, const std::string& attributes)
    : LayerSpec(fields().write("op", {op, attributes})) {}

}  // namespace lariat
