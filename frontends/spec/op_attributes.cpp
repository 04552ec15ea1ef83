#include "frontends/spec/op_attributes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "graph/base/error.hpp"

namespace lariat {

namespace {

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

std::string trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return std::string(text);
}

}  // namespace

std::pair<std::string, std::string> sides_of(std::string_view entry, char sign) {
  const size_t at = std::min(entry.find(sign), entry.size());
  return {trimmed(entry.substr(0, at)), trimmed(entry.substr(std::min(at + 1, entry.size())))};
}

Attributes attributes_from_text(const OpDef& op, std::span<const std::string> entries) {
  Attributes result;
  for (const std::string& entry : entries) {
    const auto [name, value] = sides_of(entry);
    const auto spec = std::find_if(op.attributes.begin(), op.attributes.end(),
                                   [&](const AttributeSpec& known) { return known.name == name; });
    if (spec == op.attributes.end()) {
      std::vector<std::string> known;
      for (const AttributeSpec& other : op.attributes) known.push_back(other.name);
      throw UserError(fmt::format("'{}' has no attribute '{}'.{}", op.name, name,
                                  known.empty() ? " It has none." : did_you_mean(name, known)));
    }
    const auto attribute = attribute_of(spec->kind, value);
    if (!attribute) {
      // "low=0,high=1" of a penalty.
      const size_t comma = value.find(',');
      const bool another = comma != value.npos && value.find('=', comma) != value.npos;
      throw UserError(fmt::format("'{}' must be {}{}", name, name_of(spec->kind),
                                  another
                                      ? fmt::format("; attributes are separated by colons, such as {}={}:{}",
                                                    name, value.substr(0, comma), value.substr(comma + 1))
                                      : ""));
    }
    result.set(name, *attribute);
  }
  for (const AttributeSpec& spec : op.attributes)
    if (!spec.otherwise && !result.find(spec.name))
      throw UserError(fmt::format("'{}' needs the attribute '{}', {}", op.name, spec.name, spec.doc));
  return result;
}

}  // namespace lariat
