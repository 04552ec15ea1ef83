#include "frontends/search/range.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "frontends/data/foreign_names.hpp"
#include "graph/base/error.hpp"

namespace lariat::search {

namespace {

constexpr int64_t most_integers = 20, usual_count = 5;
constexpr const char* range_form =
    "write KEY=A,B,C or KEY=LOW..HIGH, with :log or a number of values behind it";

std::optional<double> number_in(std::string_view text) {
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::vector<std::string_view> parts_of(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool matches(std::string_view pattern, std::string_view text) {
  const size_t star = pattern.find('*');
  if (star == pattern.npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  text.remove_prefix(star);
  for (size_t skipped = 0; skipped <= text.size(); ++skipped)
    if (matches(pattern.substr(star + 1), text.substr(skipped))) return true;
  return false;
}

// A key of the recipe with the type of its option.
struct KnownKey {
  std::string name, type;
};

std::vector<KnownKey> keys_of(const Recipe& recipe) {
  std::vector<KnownKey> keys;
  const auto add = [&](const std::string& place, const SpecKinds& kinds, const Spec& spec) {
    if (!kinds.front()->name.empty()) keys.push_back({place + ".kind", "choice"});
    for (const SpecOption& option : find_kind(kinds, spec.kind, place).options)
      keys.push_back({place + "." + option.name, option.type});
  };
  for (const RecipeTable& table : recipe_tables())
    if (table.name != "search") add(table.name, table.kinds, recipe.table(table.name));
  for (const RecipeTable& list : recipe_lists())
    for (size_t i = 0; i < recipe.list(list.name).size(); ++i)
      add(fmt::format("{}.{}", list.name, i), list.kinds, recipe.list(list.name)[i]);
  const std::vector<LayerSpec> layers = recipe.layers();
  for (size_t i = 0; i < layers.size(); ++i) add(fmt::format("layers.{}", i), layer_spec_kinds(), layers[i]);
  return keys;
}

std::vector<KnownKey> matching_keys(const std::string& pattern, const Recipe& recipe) {
  const std::vector<KnownKey> all = keys_of(recipe);
  std::vector<KnownKey> found;
  std::vector<std::string> names;
  for (const KnownKey& key : all) {
    if (matches(pattern, key.name)) found.push_back(key);
    names.push_back(key.name);
  }
  // A layer by its name.
  const std::vector<std::string> layers = names_of(recipe.layers());
  for (size_t i = 0; i < layers.size() && found.empty(); ++i)
    if (const std::string own = fmt::format("layers.{}.", layers[i]); pattern.starts_with(own))
      return matching_keys(fmt::format("layers.{}.{}", i, pattern.substr(own.size())), recipe);
  if (found.empty() && pattern.find('*') == pattern.npos) {
    recipe.get(pattern);  // throws, and says which part is not known
    const std::string meant = data::what_was_meant(pattern, names);
    throw UserError(
        fmt::format("the recipe has no key '{}'.{}", data::shortened(pattern),
                    meant.starts_with(" Did you mean") ? meant : " lariat recipe show lists them."));
  }
  if (found.empty())
    throw UserError(fmt::format("no key of the recipe is '{}'; lariat recipe show lists them, such as {}",
                                data::shortened(pattern), "layers.*.kernel_penalty"));
  return found;
}

std::string text_of(const Range& range, double value) {
  if (range.integer) return fmt::format("{}", std::llround(value));
  // As few digits as people write.
  return fmt::format("{}", *number_in(fmt::format("{:.6g}", value)));
}

// The text of a penalty with a term's coefficient set: "l1=1e-4,log_sum=1e-3:0.01".
std::string with_term(const std::string& penalty, const std::string& term, const std::string& coefficient) {
  std::vector<std::string> terms;
  bool found = false;
  for (const std::string& word : split_words(penalty)) {
    if (word == "none") continue;
    const size_t equals = word.find('=');
    if (word.substr(0, equals) != term) {
      terms.push_back(word);
      continue;
    }
    const size_t colon = word.find(':');
    terms.push_back(term + "=" + coefficient + (colon == word.npos ? "" : word.substr(colon)));
    found = true;
  }
  if (!found) terms.push_back(term + "=" + coefficient);
  std::string text;
  for (const std::string& word : terms) text += (text.empty() ? "" : ",") + word;
  return text;
}

void read_interval(Range& range, std::string_view text) {
  const std::vector<std::string_view> parts = parts_of(text, ':');
  const size_t dots = parts[0].find("..");
  if (dots == parts[0].npos)
    throw UserError(fmt::format("'{}' has its .. behind a ':'; {}", data::shortened(text), range_form));
  const std::string_view low = parts[0].substr(0, dots), high = parts[0].substr(dots + 2);
  for (const std::string_view end : {low, high})
    if (!number_in(end))
      throw UserError(fmt::format("'{}' is no number; {}", data::shortened(end), range_form));
  range.low = *number_in(low);
  range.high = *number_in(high);
  for (size_t i = 1; i < parts.size(); ++i) {
    const auto count = number_in(parts[i]);
    if (parts[i] == "log") {
      range.logarithmic = true;
    } else if (count && *count >= 1 && *count <= 10000 && *count == std::floor(*count)) {
      range.count = static_cast<int64_t>(*count);
    } else if (parts[i] != "linear") {
      throw UserError(fmt::format("'{}' is neither log, linear nor how many values a grid takes",
                                  data::shortened(parts[i])));
    }
  }
  if (!(range.low < range.high))
    throw UserError(
        fmt::format("the range is empty: {} is not below {}; write LOW..HIGH, or one value", low, high));
  if (range.logarithmic && range.low <= 0)
    throw UserError(fmt::format(
        "a logarithmic range begins above 0, not at {}; leave :log out, or write 1e-6..{}", low, high));
  if (range.integer && (range.low != std::floor(range.low) || range.high != std::floor(range.high)))
    throw UserError(fmt::format("the key takes integers, but the range is {}", parts[0]));
}

void read_list(Range& range, std::string_view text) {
  for (const std::string_view value : parts_of(text, ',')) {
    if (value.empty()) throw UserError(fmt::format("there is no value to try; {}", range_form));
    if (!range.term.empty() && !number_in(value))
      throw UserError(fmt::format("the coefficient of {} is '{}', which is no number", range.term,
                                  data::shortened(value)));
    if (std::find(range.values.begin(), range.values.end(), value) != range.values.end())
      throw UserError(fmt::format("the value {} is there twice", data::shortened(value)));
    range.values.emplace_back(value);
  }
}

}  // namespace

std::vector<std::string> Range::grid() const {
  if (is_list()) return values;
  int64_t number = count;
  if (number == 0)
    number = integer && high - low < most_integers ? std::llround(high - low) + 1 : usual_count;
  std::vector<std::string> result;
  for (int64_t i = 0; i < number; ++i) {
    const double share = number == 1 ? 0 : static_cast<double>(i) / static_cast<double>(number - 1);
    const double value = logarithmic ? low * std::pow(high / low, share) : low + (high - low) * share;
    const std::string text = text_of(*this, value);
    if (result.empty() || result.back() != text) result.push_back(text);
  }
  return result;
}

std::string Range::draw(data::RandomStream& random) const {
  if (is_list()) return values[random.below(static_cast<uint32_t>(values.size()))];
  const double share = random.uniform();
  if (integer && !logarithmic) return text_of(*this, low + std::floor(share * (high - low + 1)));
  return text_of(*this, logarithmic ? low * std::pow(high / low, share) : low + (high - low) * share);
}

Range parse_range(std::string_view text, const Recipe& recipe) {
  // A message ends at such a byte.
  if (text.find('\0') != text.npos)
    throw UserError(fmt::format("a range has a byte of value 0, which no key or value has; {}", range_form));
  const size_t equals = text.find('=');
  if (equals == text.npos || equals == 0)
    throw UserError(fmt::format("'{}': {}", data::shortened(text), range_form));
  Range range;
  range.key = text.substr(0, equals);
  std::string_view values = text.substr(equals + 1);
  at_place(fmt::format("{}: ", data::shortened(text)), [&] {
    const std::vector<KnownKey> keys = matching_keys(range.key, recipe);
    for (const KnownKey& key : keys) range.keys.push_back(key.name);
    range.integer = keys.front().type == "integer";
    const size_t end = values.find_first_of("=:");
    // "l1=" or "l1:" names a term; numbers have no letter in front.
    if (end != values.npos && end > 0 && std::isalpha(static_cast<unsigned char>(values[0])) != 0 &&
        (values[end] == '=' || range.key.ends_with("penalty"))) {
      range.term = values.substr(0, end);
      range.integer = false;
      values.remove_prefix(end + 1);
    }
    const bool interval =
        values.find("..") != values.npos &&
        (!range.term.empty() || keys.front().type == "integer" || keys.front().type == "number");
    if (interval) {
      read_interval(range, values);
    } else {
      read_list(range, values);
    }
    const std::vector<std::string> all = range.grid();
    for (const std::string& value : range.is_list() ? all : std::vector{all.front(), all.back()})
      with_values(recipe, {range}, {value});
  });
  return range;
}

Recipe with_values(const Recipe& recipe, const std::vector<Range>& ranges,
                   const std::vector<std::string>& values) {
  require(ranges.size() == values.size(), "each range has a value");
  std::vector<std::pair<std::string, std::string>> settings;
  for (size_t i = 0; i < ranges.size(); ++i)
    for (const std::string& key : ranges[i].keys) {
      std::string value = values[i];
      if (!ranges[i].term.empty()) {
        std::string present = recipe.get(key);
        for (const auto& [name, set] : settings)
          if (name == key) present = set;
        value = with_term(present, ranges[i].term, value);
      }
      settings.emplace_back(key, value);
    }
  Recipe changed = recipe;
  changed.set(settings);
  return changed;
}

namespace {

// Whether the key says which examples there are, so that scores of its values could not be compared.
bool says_the_data(const std::string& key) {
  for (const char* name : {"kind", "path", "validation", "testing", "held_out", "labels", "target", "weight"})
    if (key == fmt::format("data.{}", name)) return true;
  return false;
}

}  // namespace

std::vector<Range> parse_ranges(const std::vector<std::string>& texts, const Recipe& recipe, bool halving) {
  if (texts.empty())
    throw UserError(
        "there is nothing to search over; name keys with what to try, such as "
        "layers.*.kernel_penalty=l1=1e-5..1e-2:log");
  std::vector<Range> ranges;
  for (const std::string& text : texts) {
    Range range = parse_range(text, recipe);
    for (const std::string& key : range.keys) {
      if (says_the_data(key))
        throw UserError(fmt::format(
            "{}: {} says what the data are; scores on other data cannot be compared, leave it out", text,
            key));
      if (halving && key == "training.epochs")
        throw UserError(fmt::format("{}: halving itself says for how many epochs trials train", text));
    }
    for (const Range& earlier : ranges)
      if (earlier.name() == range.name())
        throw UserError(fmt::format("{}: {} is searched over twice; put both into one", text, range.name()));
    ranges.push_back(std::move(range));
  }
  return ranges;
}

}  // namespace lariat::search
