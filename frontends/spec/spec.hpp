#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontends/data/option_table.hpp"

namespace lariat {

/// Where something was written, such as "recipe.toml:12: "; says nothing of what it is.
struct WrittenAt {
  std::string text = {};
  friend bool operator==(const WrittenAt&, const WrittenAt&) { return true; }
};

/// A kind of something (layer, loss, optimizer…) and its options as text: what a recipe's table, a saved
/// model and a C++ constructor say alike.
struct Spec {
  std::string kind;
  /// Every option of the kind, in the kind's order.
  std::vector<std::pair<std::string, std::string>> options;
  /// Empty where it is from no file, or was changed since.
  WrittenAt written = {};

  /// The text of an option that the kind has.
  const std::string& at(std::string_view option) const;
  friend bool operator==(const Spec&, const Spec&) = default;
};

/// An option apart from the struct that it is a member of. Its type may also be "text", "list", of words or
/// of numbers, or "lines".
struct SpecOption : data::OptionDescription {
  /// The text as the option itself writes it. Throws UserError "name = text: must be …".
  std::function<std::string(std::string_view)> normalise;
  /// Whether JSON is without it where it has its default.
  bool optional = false;
};

/// What a kind is called, what it is, and which options it has.
struct SpecKind {
  std::string name, doc;
  std::vector<SpecOption> options = {};

  Spec defaults() const;
  /// nullptr where there is none of that name.
  const SpecOption* find(std::string_view option) const;
  /// Throws UserError "place has no key 'option'." and the nearest one.
  const SpecOption& at(std::string_view option, std::string_view place) const;
  void set(Spec& spec, const SpecOption& option, std::string_view text) const;
  /// Throws UserError "place kind needs option, a number from …" where an option without a default is not
  /// set.
  void check_complete(const Spec& spec, std::string_view place) const;
  /// {"kind": …, option: value, …}; without the kind where it has no name, and without optional defaults.
  std::string to_json(const Spec& spec) const;
};

/// Kinds to choose from; a single one without a name is not chosen.
using SpecKinds = std::vector<const SpecKind*>;

/// Throws UserError "place kind = name: must be one of …".
const SpecKind& find_kind(const SpecKinds& kinds, std::string_view name, std::string_view place);
/// Reads what SpecKind::to_json wrote; options that are not there keep their defaults. Throws UserError.
Spec spec_from_json(const SpecKinds& kinds, std::string_view json, std::string_view place);

/// Runs `action`; a UserError that it throws gets `place` in front of its message.
void at_place(std::string_view place, const std::function<void()>& action);

/// "a, b" and back. A word with a comma, a quote or a space at an end is in quotes: a, "b, c".
std::string join_words(const std::vector<std::string>& words);
std::vector<std::string> split_words(std::string_view text);
/// A line each, and back; empty lines are none.
std::string join_lines(const std::vector<std::string>& lines);
std::vector<std::string> split_lines(std::string_view text);
/// "0.5, 2" and back. Throws UserError "name = word: must be a number from … each".
std::string join_numbers(const std::vector<double>& numbers);
std::vector<double> parse_numbers(const data::OptionDescription& option, std::string_view text, double lowest,
                                  double highest);
/// "f1 average=macro": a kind, and options of it. Throws UserError with `place` before it.
Spec spec_from_text(const SpecKinds& kinds, std::string_view text, std::string_view place);

/// The members of a struct as options: all that an OptionTable can hold, and text.
template <class Options>
class Fields {
 public:
  Fields() = default;
  Fields(const data::OptionTable<Options>& table) : options_(table.options()) {}

  Fields& boolean(std::string name, bool Options::*member, std::string doc) {
    return take([&](auto& table) { table.boolean(std::move(name), member, std::move(doc)); });
  }
  Fields& integer(std::string name, int64_t Options::*member, int64_t lowest, int64_t highest,
                  std::string doc) {
    return take(
        [&](auto& table) { table.integer(std::move(name), member, lowest, highest, std::move(doc)); });
  }
  Fields& number(std::string name, double Options::*member, double lowest, double highest, std::string doc) {
    return take([&](auto& table) { table.number(std::move(name), member, lowest, highest, std::move(doc)); });
  }
  template <class Enum, class Base>
  Fields& choice(std::string name, Enum Base::*member, std::vector<std::string> choices, std::string doc) {
    const auto own = static_cast<Enum Options::*>(member);
    return take([&](auto& table) { table.choice(std::move(name), own, std::move(choices), std::move(doc)); });
  }
  Fields& text(std::string name, std::string Options::*member, std::string doc) {
    return add(
        {std::move(name), std::move(doc), "text", "text", {}},
        [member](const Options& options) { return options.*member; },
        [member](Options& options, std::string_view text) { options.*member = text; });
  }
  Fields& list(std::string name, std::vector<std::string> Options::*member, std::string doc) {
    return add(
        {std::move(name), std::move(doc), "list", "words, separated by commas", {}},
        [member](const Options& options) { return join_words(options.*member); },
        [member](Options& options, std::string_view text) { options.*member = split_words(text); });
  }
  /// Texts that may hold commas: one a line.
  Fields& lines(std::string name, std::vector<std::string> Options::*member, std::string doc) {
    return add(
        {std::move(name), std::move(doc), "lines", "a list of texts", {}},
        [member](const Options& options) { return join_lines(options.*member); },
        [member](Options& options, std::string_view text) { options.*member = split_lines(text); });
  }
  /// As many numbers as one likes.
  Fields& numbers(std::string name, std::vector<double> Options::*member, double lowest, double highest,
                  std::string doc) {
    data::OptionDescription each{name, {}, "number", data::range_of(lowest, highest) + " each", {}};
    return add(
        {name, std::move(doc), "numbers", "numbers, separated by commas", {}},
        [member](const Options& options) { return join_numbers(options.*member); },
        [member, each, lowest, highest](Options& options, std::string_view text) {
          options.*member = parse_numbers(each, text, lowest, highest);
        });
  }
  /// A T with functions to_text(T) and parse(option's name, text) → T, which throws UserError.
  template <class T, class Base>
  Fields& parsed(std::string name, T Base::*member, std::string range, std::string doc,
                 std::string (*to_text)(const T&), T (*parse)(std::string_view name, std::string_view text)) {
    return add(
        {name, std::move(doc), "text", std::move(range), {}},
        [member, to_text](const Options& options) { return to_text(options.*member); },
        [member, parse, name](Options& options, std::string_view text) {
          options.*member = parse(name, text);
        });
  }

  /// The same of a T whose text is lines, which TOML may have as a list.
  template <class T, class Base>
  Fields& parsed_lines(std::string name, T Base::*member, std::string range, std::string doc,
                       std::string (*to_text)(const T&),
                       T (*parse)(std::string_view name, std::string_view text)) {
    parsed(std::move(name), member, std::move(range), std::move(doc), to_text, parse);
    options_.back().type = "lines";
    return *this;
  }

  /// Of the last option: what a recipe to begin with says of it.
  Fields& begin_with(std::string text) {
    options_.back().first_value = std::move(text);
    return *this;
  }

  SpecKind kind(std::string name, std::string doc) const {
    SpecKind kind{std::move(name), std::move(doc)};
    for (const data::Option<Options>& option : options_) {
      kind.options.push_back({{option}, [option](std::string_view text) {
                                Options options;
                                option.set(options, text);
                                return option.get(options);
                              }});
    }
    return kind;
  }

  /// The struct that a spec with these options describes.
  Options read(const Spec& spec) const {
    Options options;
    for (const data::Option<Options>& option : options_) option.set(options, spec.at(option.name));
    return options;
  }

  /// And back. Throws UserError "kind: name = value: must be …" for a member out of its range.
  Spec write(std::string kind, const Options& options) const {
    Spec spec{std::move(kind), {}};
    for (const data::Option<Options>& option : options_)
      spec.options.emplace_back(option.name, option.get(options));
    at_place(spec.kind + ": ", [&] { read(spec); });
    return spec;
  }

 private:
  template <class Add>
  Fields& take(Add&& add_to) {
    data::OptionTable<Options> table;
    add_to(table);
    options_.push_back(table.options().front());
    return *this;
  }
  Fields& add(data::OptionDescription description, std::function<std::string(const Options&)> get,
              std::function<void(Options&, std::string_view)> set) {
    description.default_value = get(Options{});
    options_.push_back({std::move(description), std::move(get), std::move(set)});
    return *this;
  }

  std::vector<data::Option<Options>> options_;
};

}  // namespace lariat
