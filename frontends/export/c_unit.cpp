#include "frontends/export/c_unit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/base/error.hpp"

namespace lariat::to_c {

std::string literal(float value) {
  if (std::isnan(value)) return "NAN";
  if (std::isinf(value)) return value > 0 ? "INFINITY" : "(-INFINITY)";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == text.npos) text += ".0";
  return text + "F";
}

std::string literal(int64_t value) { return fmt::format("{}", value); }

std::string string_literal(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\' || c == '?' || byte < 0x20 || byte > 0x7e) {
      result += fmt::format("\\{:03o}", byte);
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string comment_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (c == '/' && !result.empty() && result.back() == '*')) continue;
    if (c == '*' && !result.empty() && result.back() == '/') continue;
    result += c;
  }
  return result;
}

std::string identifier(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += letter ? c : '_';
  }
  // C keeps names that begin with an underscore for itself.
  if (name.empty() || name[0] == '_' || (name[0] >= '0' && name[0] <= '9')) name = "m" + name;
  return name;
}

namespace {

bool is_of_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

bool has_word(std::string_view text, std::string_view name) {
  for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || !is_of_word(text[at - 1])) && (end == text.size() || !is_of_word(text[end]))) return true;
  }
  return false;
}

std::string unread_parameters(std::string_view body, const std::vector<std::string_view>& parameters) {
  std::string text;
  for (const std::string_view name : parameters)
    if (!has_word(body, name)) text += fmt::format("  (void){};\n", name);
  return text;
}

namespace {

std::string number_text(float value) { return literal(value); }
std::string number_text(int64_t value) { return literal(value); }

}  // namespace

template <class T>
std::string CUnit::add(std::span<const T> values, std::string_view type) {
  std::string elements, line;
  for (const T value : values) {
    std::string number;
    if constexpr (std::is_same_v<T, float>) {
      number = number_text(value);
    } else {
      number = number_text(static_cast<int64_t>(value));
    }
    if (line.size() + number.size() > 106) {
      elements += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "  " : " ") + number + ",";
  }
  elements += line + "\n";
  require(!values.empty(), "a constant array of C has elements");
  std::string& name = names_[{std::string(type), elements}];
  if (!name.empty()) return name;
  name = fmt::format("data_{}", names_.size());
  constants_.push_back(
      {name, fmt::format("static const {} {}[{}] = {{\n{}}};\n", type, name, values.size(), elements),
       static_cast<int64_t>(values.size_bytes())});
  return name;
}

std::string CUnit::constant(std::span<const float> values) { return add(values, "float"); }
std::string CUnit::constant(std::span<const uint8_t> values) { return add(values, "uint8_t"); }
std::string CUnit::constant(std::span<const uint16_t> values) { return add(values, "uint16_t"); }
std::string CUnit::constant(std::span<const int8_t> values) { return add(values, "int8_t"); }
std::string CUnit::constant(std::span<const int16_t> values) { return add(values, "int16_t"); }
std::string CUnit::constant(std::span<const int32_t> values) { return add(values, "int32_t"); }

std::string CUnit::helper(std::string_view name) {
  const auto& all = c_helpers();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const CHelper& helper) { return helper.name == name; });
  require(found != all.end(), "a helper of C that is asked for exists");
  if (helpers_.emplace(name).second)
    for (const std::string_view needed : found->needs) helper(needed);
  return std::string(name);
}

void CUnit::leave_out_unread(std::string_view functions) {
  std::set<std::string_view> words;
  for (size_t at = 0; at < functions.size();) {
    size_t end = at;
    while (end < functions.size() && is_of_word(functions[end])) ++end;
    words.insert(functions.substr(at, end - at));
    at = end + 1;
  }
  std::erase_if(constants_, [&](const Constant& constant) { return !words.contains(constant.name); });
}

int64_t CUnit::constant_bytes() const {
  int64_t bytes = 0;
  for (const Constant& constant : constants_) bytes += constant.bytes;
  return bytes;
}

std::string CUnit::text() const {
  std::string result;
  for (const Constant& constant : constants_) result += constant.text;
  for (const CHelper& helper : c_helpers())
    if (helpers_.contains(helper.name)) result += "\n" + std::string(helper.text);
  return result;
}

}  // namespace lariat::to_c
