#include "frontends/spec/spec.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "frontends/data/foreign_names.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat {

const std::string& Spec::at(std::string_view option) const {
  const auto found =
      std::find_if(options.begin(), options.end(), [&](const auto& entry) { return entry.first == option; });
  require(found != options.end(), "a spec has every option of its kind");
  return found->second;
}

Spec SpecKind::defaults() const {
  Spec spec{name, {}};
  for (const SpecOption& option : options) spec.options.emplace_back(option.name, option.default_value);
  return spec;
}

const SpecOption* SpecKind::find(std::string_view option) const {
  const auto found = std::find_if(options.begin(), options.end(),
                                  [&](const SpecOption& known) { return known.name == option; });
  return found == options.end() ? nullptr : &*found;
}

const SpecOption& SpecKind::at(std::string_view option, std::string_view place) const {
  if (const SpecOption* found = find(option)) return *found;
  std::vector<std::string> known;
  for (const SpecOption& other : options) known.push_back(other.name);
  throw UserError(
      fmt::format("{} has no key '{}'{}", place, data::shortened(option),
                  known.empty() ? "; it has none" : "." + data::which_key_was_meant(option, known)));
}

void SpecKind::set(Spec& spec, const SpecOption& option, std::string_view text) const {
  for (auto& [name, value] : spec.options)
    if (name == option.name) value = option.normalise(text);
}

void SpecKind::check_complete(const Spec& spec, std::string_view place) const {
  for (const SpecOption& option : options) {
    if (spec.at(option.name) != option.default_value) continue;
    // The default of what must be set is out of its range.
    try {
      option.normalise(option.default_value);
    } catch (const UserError&) {
      throw UserError(fmt::format("{}{}{} needs {}, {}", place, name.empty() ? "" : " ", name, option.name,
                                  option.range));
    }
  }
}

std::string SpecKind::to_json(const Spec& spec) const {
  Json object = Json::object();
  if (!name.empty()) object["kind"] = name;
  for (const SpecOption& option : options) {
    const std::string& text = spec.at(option.name);
    if (option.optional && text == option.default_value) continue;
    const bool quoted = option.type != "boolean" && option.type != "integer" && option.type != "number";
    object[option.name] = quoted ? Json(text) : parse_json(text);
  }
  return object.dump();
}

const SpecKind& find_kind(const SpecKinds& kinds, std::string_view name, std::string_view place) {
  std::vector<std::string> known;
  for (const SpecKind* kind : kinds) {
    if (kind->name == name) return *kind;
    known.push_back(kind->name);
  }
  const std::string nearest = nearest_name(name, known);
  const bool softmax = name == "softmax" || name == "Softmax";
  const std::string hint = !data::known_as(name, known).empty() ? "." + data::what_was_meant(name, known)
                           : softmax         ? ". Losses of classes have their own softmax: leave it out"
                           : nearest.empty() ? ""
                                             : fmt::format(". Did you mean '{}'?", nearest);
  throw UserError(fmt::format("{} kind = {}: must be one of {}{}", place,
                              name.empty() ? "''" : data::shortened(name), fmt::join(known, ", "), hint));
}

Spec spec_from_json(const SpecKinds& kinds, std::string_view json, std::string_view place) {
  const auto entries = data::json_entries(json);
  const auto is_kind = [](const auto& entry) { return entry.first == "kind"; };
  const SpecKind* kind = kinds.front();
  const bool chosen = !kind->name.empty();
  if (chosen) {
    const auto named = std::find_if(entries.begin(), entries.end(), is_kind);
    kind = &find_kind(kinds, named == entries.end() ? "" : named->second, place);
  }
  Spec spec = kind->defaults();
  for (const auto& entry : entries)
    if (!chosen || !is_kind(entry)) kind->set(spec, kind->at(entry.first, place), entry.second);
  return spec;
}

void at_place(std::string_view place, const std::function<void()>& action) {
  try {
    action();
  } catch (const UserError& error) {
    throw UserError(fmt::format("{}{}", place, error.what()));
  }
}

std::string join_numbers(const std::vector<double>& numbers) {
  return fmt::format("{}", fmt::join(numbers, ", "));
}

std::vector<double> parse_numbers(const data::OptionDescription& option, std::string_view text, double lowest,
                                  double highest) {
  std::vector<double> numbers;
  for (const std::string& word : split_words(text))
    numbers.push_back(data::parse_number(option, word, lowest, highest));
  return numbers;
}

Spec spec_from_text(const SpecKinds& kinds, std::string_view text, std::string_view place) {
  std::istringstream words{std::string(text)};
  std::string word;
  words >> word;
  const SpecKind& kind = find_kind(kinds, word, place);
  Spec spec = kind.defaults();
  const std::string within = fmt::format("{} {}", place, kind.name);
  while (words >> word) {
    const size_t equals = word.find('=');
    if (equals == word.npos)
      throw UserError(fmt::format("{}: '{}' is no option; write name=value, without spaces", within,
                                  data::shortened(word)));
    const SpecOption& option = kind.at(word.substr(0, equals), within);
    at_place(within + ": ", [&] { kind.set(spec, option, word.substr(equals + 1)); });
  }
  return spec;
}

std::string join_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ", ";
    if (word.find_first_of(",\"") == word.npos && !word.starts_with(' ') && !word.ends_with(' ')) {
      text += word;
      continue;
    }
    text += '"';
    for (const char c : word) text += c == '"' ? std::string("\"\"") : std::string(1, c);
    text += '"';
  }
  return text;
}

std::string join_lines(const std::vector<std::string>& lines) {
  return fmt::format("{}", fmt::join(lines, "\n"));
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    if (text.front() == ' ') {
      text.remove_prefix(1);
      continue;
    }
    // What begins with a quote and has another one is quoted up to that; "" in it is a quote.
    if (text.front() == '"' && text.find('"', 1) != text.npos) {
      std::string word;
      size_t i = 1;
      for (; i < text.size() && (text[i] != '"' || text.substr(i, 2) == "\"\""); ++i) {
        if (text[i] == '"') ++i;
        word += text[i];
      }
      words.push_back(std::move(word));
      text.remove_prefix(std::min(text.find(',', std::min(i, text.size())), text.size() - 1) + 1);
      continue;
    }
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view word = text.substr(0, comma);
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    if (!word.empty()) words.emplace_back(word);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return words;
}

}  // namespace lariat
