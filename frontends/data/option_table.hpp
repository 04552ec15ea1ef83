#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lariat::data {

/// What a command-line flag, a recipe key, a JSON entry and a line of documentation need to know about one
/// option.
struct OptionDescription {
  std::string name;  ///< as in a recipe: num_mel_bins; the flag is --num-mel-bins
  std::string doc;
  std::string type;   ///< "boolean", "integer", "number" or "choice"
  std::string range;  ///< in words: "an integer from 0 to 512", "one of fbank, mfcc"
  std::string default_value;
  /// What a recipe to begin with says of it; empty: the default.
  std::string first_value = {};
};

/// One option of the struct `Options`. `get` and `set` speak text; `set` throws UserError naming key, value
/// and range.
template <class Options>
struct Option : OptionDescription {
  std::function<std::string(const Options&)> get;
  std::function<void(Options&, std::string_view)> set;
};

/// "num_mel_bins" → "--num-mel-bins".
std::string flag_of(std::string_view name);
/// "--num-mel-bins" → "num_mel_bins"; a recipe key stays as it is.
std::string key_of(std::string_view flag_or_key);

/// A value as a message quotes it: of more than 200 bytes, the first.
std::string shortened(std::string_view value);

/// Text of a value and back. The parsers take all of `text` or throw UserError with the option's name and
/// range.
std::string text_of(bool value);
std::string text_of(int64_t value);
std::string text_of(double value);
bool parse_boolean(const OptionDescription& option, std::string_view text);
int64_t parse_integer(const OptionDescription& option, std::string_view text, int64_t lowest,
                      int64_t highest);
double parse_number(const OptionDescription& option, std::string_view text, double lowest, double highest);
size_t parse_choice(const OptionDescription& option, std::string_view text,
                    const std::vector<std::string>& choices);

/// "an integer from 0 to 512", "a number from 0", "one of a, b".
std::string range_of(int64_t lowest, int64_t highest);
std::string range_of(double lowest, double highest);
std::string range_of(const std::vector<std::string>& choices);

/// One JSON object from options and their values as text, and the entries of such an object as text.
std::string json_object(const std::vector<std::pair<const OptionDescription*, std::string>>& entries);
std::vector<std::pair<std::string, std::string>> json_entries(std::string_view json);

/// Throws UserError: `name` is not in `known`; the nearest known name is suggested.
[[noreturn]] void throw_unknown_option(std::string_view name, const std::vector<std::string>& known);

/// The options of one struct, in the order in which they are documented. The defaults are those of
/// `Options{}`.
template <class Options>
class OptionTable {
 public:
  void boolean(std::string name, bool Options::*member, std::string doc) {
    add(
        {std::move(name), std::move(doc), "boolean", "true or false", {}},
        [member](const Options& options) { return text_of(options.*member); },
        [member](const OptionDescription& option, Options& options, std::string_view text) {
          options.*member = parse_boolean(option, text);
        });
  }

  template <class Integer>
  void integer(std::string name, Integer Options::*member, int64_t lowest, int64_t highest, std::string doc) {
    add(
        {std::move(name), std::move(doc), "integer", range_of(lowest, highest), {}},
        [member](const Options& options) { return text_of(static_cast<int64_t>(options.*member)); },
        [member, lowest, highest](const OptionDescription& option, Options& options, std::string_view text) {
          options.*member = static_cast<Integer>(parse_integer(option, text, lowest, highest));
        });
  }

  void number(std::string name, double Options::*member, double lowest, double highest, std::string doc) {
    add(
        {std::move(name), std::move(doc), "number", range_of(lowest, highest), {}},
        [member](const Options& options) { return text_of(options.*member); },
        [member, lowest, highest](const OptionDescription& option, Options& options, std::string_view text) {
          options.*member = parse_number(option, text, lowest, highest);
        });
  }

  /// An enumeration whose values 0, 1, 2… are spelled as `choices`.
  template <class Enum>
  void choice(std::string name, Enum Options::*member, std::vector<std::string> choices, std::string doc) {
    add(
        {std::move(name), std::move(doc), "choice", range_of(choices), {}},
        [member, choices](const Options& options) {
          // What has no name here is refused where it is read back.
          const auto place = static_cast<size_t>(options.*member);
          return place < choices.size() ? choices[place] : text_of(static_cast<int64_t>(place));
        },
        [member, choices](const OptionDescription& option, Options& options, std::string_view text) {
          options.*member = static_cast<Enum>(parse_choice(option, text, choices));
        });
  }

  const std::vector<Option<Options>>& options() const { return options_; }

  const Option<Options>& at(std::string_view flag_or_key) const {
    const std::string name = key_of(flag_or_key);
    std::vector<std::string> known;
    for (const Option<Options>& option : options_) {
      if (option.name == name) return option;
      known.push_back(option.name);
    }
    throw_unknown_option(flag_or_key, known);
  }

  /// Sets the option of that name from text; throws UserError for an unknown name or a value out of range.
  void set(Options& options, std::string_view flag_or_key, std::string_view text) const {
    at(flag_or_key).set(options, text);
  }

  /// All options as one JSON object.
  std::string to_json(const Options& options) const {
    std::vector<std::pair<const OptionDescription*, std::string>> entries;
    for (const Option<Options>& option : options_) entries.emplace_back(&option, option.get(options));
    return json_object(entries);
  }

  /// The defaults, changed by the entries of a JSON object; throws UserError for a bad one.
  Options from_json(std::string_view json) const {
    Options options;
    for (const auto& [name, text] : json_entries(json)) set(options, name, text);
    return options;
  }

  /// Throws UserError for the first member that lies out of its range, as code can set it past the parsers.
  void check(const Options& options) const {
    Options copy = options;
    for (const Option<Options>& option : options_) option.set(copy, option.get(options));
  }

 private:
  template <class Get, class Set>
  void add(OptionDescription description, Get get, Set set) {
    description.default_value = get(Options{});
    Option<Options> option{description, get, {}};
    option.set = [description, set](Options& options, std::string_view text) {
      set(description, options, text);
    };
    options_.push_back(std::move(option));
  }

  std::vector<Option<Options>> options_;
};

}  // namespace lariat::data
