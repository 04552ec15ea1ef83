#include "frontends/data/option_table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "frontends/data/foreign_names.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::data {

namespace {

[[noreturn]] void throw_bad_value(const OptionDescription& option, std::string_view text) {
  throw UserError(
      fmt::format("{} = {}: must be {}", option.name, text.empty() ? "''" : shortened(text), option.range));
}

template <class Number>
Number parse(const OptionDescription& option, std::string_view text, Number lowest, Number highest) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  // NaN fails both comparisons, hence the negation.
  if (error != std::errc{} || rest != end || !(value >= lowest && value <= highest))
    throw_bad_value(option, text);
  return value;
}

}  // namespace

std::string shortened(std::string_view value) {
  constexpr size_t most = 200;
  size_t end = std::min(value.size(), most);
  // Not within a character of UTF-8.
  while (end < value.size() && end > 0 && (static_cast<unsigned char>(value[end]) & 0xC0) == 0x80) --end;
  std::string result;
  for (const char c : value.substr(0, end))  // a message ends at its first zero byte
    c == '\0' ? result += "\\x00" : result += c;
  return end < value.size() ? result + "…" : result;
}

std::string flag_of(std::string_view name) {
  std::string flag = "--" + std::string(name);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

std::string key_of(std::string_view flag_or_key) {
  if (flag_or_key.starts_with("--")) flag_or_key.remove_prefix(2);
  std::string key(flag_or_key);
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(int64_t value) { return fmt::format("{}", value); }
std::string text_of(double value) { return fmt::format("{}", value); }

bool parse_boolean(const OptionDescription& option, std::string_view text) {
  if (text == "true" || text == "yes" || text == "1") return true;
  if (text == "false" || text == "no" || text == "0") return false;
  throw_bad_value(option, text);
}

int64_t parse_integer(const OptionDescription& option, std::string_view text, int64_t lowest,
                      int64_t highest) {
  return parse<int64_t>(option, text, lowest, highest);
}

double parse_number(const OptionDescription& option, std::string_view text, double lowest, double highest) {
  const double value = parse<double>(option, text, lowest, highest);
  if (!std::isfinite(value)) throw_bad_value(option, text);
  return value;
}

size_t parse_choice(const OptionDescription& option, std::string_view text,
                    const std::vector<std::string>& choices) {
  const auto found = std::find(choices.begin(), choices.end(), text);
  if (found != choices.end()) return static_cast<size_t>(found - choices.begin());
  const std::string nearest = nearest_name(text, choices);
  const bool softmax = (option.name == "activation" || option.name == "function") && text == "softmax";
  const std::string hint = softmax ? ". Losses of classes have their own softmax: leave it linear"
                           : !known_as(text, choices).empty() ? "." + what_was_meant(text, choices)
                           : nearest.empty()                  ? ""
                                                              : fmt::format(". Did you mean '{}'?", nearest);
  throw UserError(fmt::format("{} = {}: must be {}{}", option.name, text.empty() ? "''" : shortened(text),
                              option.range, hint));
}

namespace {

template <class Number>
std::string range_in_words(const char* noun, Number lowest, Number highest) {
  const bool below = lowest > std::numeric_limits<Number>::lowest();
  const bool above = highest < std::numeric_limits<Number>::max();
  return fmt::format("{}{}{}", noun, below ? fmt::format(" from {}", lowest) : "",
                     above ? fmt::format(" to {}", highest) : "");
}

}  // namespace

std::string range_of(int64_t lowest, int64_t highest) {
  return range_in_words("an integer", lowest, highest);
}
std::string range_of(double lowest, double highest) { return range_in_words("a number", lowest, highest); }
std::string range_of(const std::vector<std::string>& choices) {
  return fmt::format("one of {}", fmt::join(choices, ", "));
}

std::string json_object(const std::vector<std::pair<const OptionDescription*, std::string>>& entries) {
  Json object = Json::object();
  for (const auto& [option, text] : entries) {
    const bool quoted = option->type == "choice";
    object[option->name] = quoted ? Json(text) : parse_json(text);
  }
  return object.dump();
}

std::vector<std::pair<std::string, std::string>> json_entries(std::string_view json) {
  const auto object = parse_json(json);
  if (!object.is_object())
    throw UserError("the options are not a JSON object such as {\"num_mel_bins\": 40}");
  std::vector<std::pair<std::string, std::string>> entries;
  for (const auto& [name, value] : object.items()) {
    entries.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return entries;
}

void throw_unknown_option(std::string_view name, const std::vector<std::string>& known) {
  std::vector<std::string> spelled = known;
  if (name.starts_with("--")) std::transform(known.begin(), known.end(), spelled.begin(), flag_of);
  throw UserError(fmt::format("unknown option '{}'.{}", shortened(name), did_you_mean(name, spelled)));
}

}  // namespace lariat::data
