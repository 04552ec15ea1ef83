#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <system_error>

#include "frontends/recipe/recipe.hpp"
#include "graph/base/error.hpp"
#include "graph/io/input_file.hpp"

namespace lariat {

namespace {

std::string number_text(double value) {
  const std::string text = fmt::format("{}", value);
  // A float that happens to be whole is still none of TOML's integers.
  return text.find_first_not_of("-0123456789") == text.npos ? text + ".0" : text;
}

// A value as the recipe's author wrote it, more or less.
std::string written(const toml::node& node) {
  if (const auto* text = node.as_string()) return fmt::format("\"{}\"", data::shortened(text->get()));
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* number = node.as_floating_point()) return number_text(number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  return node.is_table() ? "a table" : node.is_array() ? "an array" : "a date or time";
}

// The words of an array of strings or numbers, or nothing.
std::optional<std::vector<std::string>> words_of(const toml::node& node, bool numbers) {
  const toml::array* array = node.as_array();
  if (array == nullptr) return std::nullopt;
  std::vector<std::string> words;
  for (const toml::node& element : *array) {
    if (numbers ? !element.is_number() : !element.is_string()) return std::nullopt;
    words.push_back(element.is_string() ? element.as_string()->get() : written(element));
  }
  return words;
}

// The text that an option is set from; nothing where TOML's type is another than the option's.
std::optional<std::string> text_for(const data::OptionDescription& option, const toml::node& node) {
  const std::string& type = option.type;
  if (type == "boolean") return node.is_boolean() ? std::optional(written(node)) : std::nullopt;
  if (type == "integer") return node.is_integer() ? std::optional(written(node)) : std::nullopt;
  if (type == "number") return node.is_number() ? std::optional(written(node)) : std::nullopt;
  if ((type == "list" || type == "numbers" || type == "lines") && !node.is_string()) {
    const auto words = words_of(node, type == "numbers");
    if (!words) return std::nullopt;
    return type == "lines" ? join_lines(*words) : join_words(*words);
  }
  return node.is_string() ? std::optional(node.as_string()->get()) : std::nullopt;
}

// The parser recurses over the parts of a dotted key, within values that it lets nest 256 deep.
constexpr int most_key_dots = 16;

// The line of a key of too many parts, or 0.
int line_of_long_key(std::string_view text) {
  int line = 1, dots = 0;
  char quote = 0;
  bool comment = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      ++line;
      dots = 0;
      quote = 0;
      comment = false;
    } else if (comment) {
      continue;
    } else if (quote != 0) {
      if (c == quote) quote = 0;
      if (c == '\\' && quote == '"' && text.substr(i + 1, 1) != "\n") ++i;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#') {
      comment = true;
    } else if (c == '.') {
      if (++dots > most_key_dots) return line;
    } else if (std::string_view("=,[]{}").find(c) != std::string_view::npos) {
      dots = 0;
    }
  }
  return 0;
}

}  // namespace

/// Turns parsed TOML into a recipe.
class TomlReader {
 public:
  explicit TomlReader(std::string file) : file_(std::move(file)) {}

  Recipe read(std::string_view text) {
    if (const int line = line_of_long_key(text); line != 0)
      throw UserError(fmt::format("{}:{}: is a key of more than {} parts; write [table] and key = value",
                                  file_, line, most_key_dots));
    toml::table root;
    try {
      root = toml::parse(text, file_);
    } catch (const toml::parse_error& error) {
      throw UserError(
          fmt::format("{}:{}: is not valid TOML: {}", file_, error.source().begin.line, error.description()));
    }
    Recipe recipe;
    for (const auto& [name, node] : root) {
      const auto list = std::find_if(recipe_lists().begin(), recipe_lists().end(),
                                     [&](const RecipeTable& known) { return known.name == name.str(); });
      if (name.str() == "layers") {
        read_list(recipe.layers_, "layers", layer_spec_kinds(), node);
      } else if (list != recipe_lists().end()) {
        read_list(recipe.lists_[list->name], list->name, list->kinds, node);
      } else {
        read_table(recipe, std::string(name.str()), node);
      }
    }
    if (!root.contains("data"))
      throw UserError(
          fmt::format("{}: a recipe needs a table [data] that says where examples come from", file_));
    recipe.check(file_ + ": ");
    return recipe;
  }

 private:
  std::string at(const toml::node& node) const {
    return fmt::format("{}:{}", file_, node.source().begin.line);
  }

  void read_table(Recipe& recipe, const std::string& name, const toml::node& node) const {
    const RecipeTable* known = nullptr;
    std::vector<std::string> names{"layers"};
    for (const RecipeTable& list : recipe_lists()) names.push_back(list.name);
    for (const RecipeTable& table : recipe_tables()) {
      if (table.name == name) known = &table;
      names.push_back(table.name);
    }
    if (known == nullptr)
      throw UserError(
          fmt::format("{}: a recipe has no table '{}'.{}", at(node), name, did_you_mean(name, names)));
    if (!node.is_table())
      throw UserError(
          fmt::format("{}: {} = {}: must be a table; write [{}]", at(node), name, written(node), name));
    recipe.tables_[name] =
        read_spec(*node.as_table(), known->kinds, fmt::format("[{}]", name), name == "data");
  }

  void read_list(std::vector<Spec>& specs, const std::string& name, const SpecKinds& kinds,
                 const toml::node& node) const {
    const toml::array* array = node.as_array();
    if (array == nullptr || (!array->empty() && !array->is_homogeneous<toml::table>()))
      throw UserError(fmt::format("{}: {} must be a list of tables; write [[{}]] before each {}", at(node),
                                  name, name, name.substr(0, name.size() - 1)));
    for (const toml::node& entry : *array)
      specs.push_back(read_spec(*entry.as_table(), kinds, fmt::format("[{}.{}]", name, specs.size()), true));
  }

  Spec read_spec(const toml::table& table, const SpecKinds& kinds, const std::string& place,
                 bool must_have_kind) const {
    const bool chosen = !kinds.front()->name.empty();
    const SpecKind* kind = kinds.front();
    if (const toml::node* node = chosen ? table.get("kind") : nullptr) {
      const std::string here = fmt::format("{}: {}", at(*node), place);
      if (!node->is_string())
        throw UserError(fmt::format("{} kind = {}: must be a string", here, written(*node)));
      kind = &find_kind(kinds, node->as_string()->get(), here);
    } else if (chosen && must_have_kind) {
      throw UserError(fmt::format("{}: {} has no kind; write kind = \"{}\" or another", at(table), place,
                                  kinds.front()->name));
    }
    Spec spec = kind->defaults();
    for (const auto& [key, node] : table) {
      if (chosen && key.str() == "kind") continue;
      const SpecOption& option = kind->at(key.str(), fmt::format("{}: {}", at(node), place));
      const std::string here = fmt::format("{}: {} ", at(node), place);
      const std::optional<std::string> text = text_for(option, node);
      if (!text)
        throw UserError(fmt::format("{}{} = {}: must be {}", here, option.name, written(node), option.range));
      at_place(here, [&] { kind->set(spec, option, *text); });
    }
    kind->check_complete(spec, fmt::format("{}: {}", at(table), place));
    return spec;
  }

  std::string file_;
};

Recipe Recipe::parse(std::string_view toml, const std::string& name) { return TomlReader(name).read(toml); }

std::string Recipe::read(const std::string& file) {
  try {
    return InputFile(file).rest();
  } catch (const std::system_error& error) {
    throw UserError(fmt::format("'{}': {}", file, reason_of(error, "recipe", "a recipe in it")));
  }
}

Recipe Recipe::load(const std::string& file) { return parse(read(file), file); }

}  // namespace lariat
