#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <system_error>

#include "frontends/data/foreign_names.hpp"
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
      const bool bare = error.description().find("could not determine value type") != std::string_view::npos;
      throw UserError(fmt::format("{}:{}: is not valid TOML: {}{}", file_, error.source().begin.line,
                                  error.description(),
                                  bare ? "; put text in quotes, such as kind = \"adam\"" : ""));
    }
    Recipe recipe;
    if (const toml::node* blocks = root.get("blocks")) read_blocks(*blocks);
    for (const auto& [name, node] : root) {
      const auto list = std::find_if(recipe_lists().begin(), recipe_lists().end(),
                                     [&](const RecipeTable& known) { return known.name == name.str(); });
      if (name.str() == "blocks") {
        continue;
      } else if (name.str() == "layers") {
        read_layers(recipe, node);
      } else if (list != recipe_lists().end()) {
        read_list(recipe.lists_[list->name], *list, node);
      } else {
        read_table(recipe, std::string(name.str()), node);
      }
    }
    if (!root.contains("data"))
      throw UserError(
          fmt::format("{}: a recipe needs a table [data] that says where examples come from", file_));
    name_blocks(recipe);
    // What is not said has no line.
    for (auto& [name, spec] : recipe.tables_)
      if (spec.written.text.empty()) spec.written.text = file_ + ": ";
    recipe.check(file_ + ": ");
    return recipe;
  }

 private:
  std::string at(const toml::node& node) const {
    return fmt::format("{}:{}", file_, node.source().begin.line);
  }

  // A key that stands in no table, where one has it.
  void refuse_key(const std::string& name, const toml::node& node) const {
    for (const RecipeTable& table : recipe_tables())
      for (const SpecKind* kind : table.kinds) {
        std::vector<std::string> keys;
        for (const SpecOption& option : kind->options) keys.push_back(option.name);
        if (const std::vector<std::string> meant = data::known_as(name, keys); !meant.empty())
          throw UserError(fmt::format("{}: {} = {}: stands in no table; write {} below [{}]", at(node), name,
                                      written(node), meant.front(), table.name));
      }
  }

  void read_table(Recipe& recipe, const std::string& name, const toml::node& node) const {
    const RecipeTable* known = nullptr;
    std::vector<std::string> names{"layers", "blocks"};
    for (const RecipeTable& list : recipe_lists()) names.push_back(list.name);
    for (const RecipeTable& table : recipe_tables()) {
      if (table.name == name) known = &table;
      names.push_back(table.name);
    }
    if (known == nullptr) {
      if (!node.is_table() && !node.is_array()) refuse_key(name, node);
      throw UserError(fmt::format("{}: a recipe has no table '{}'.{}", at(node), name,
                                  data::what_was_meant(name, names)));
    }
    if (!node.is_table())
      throw UserError(
          fmt::format("{}: {} = {}: must be a table; write [{}]", at(node), name, written(node), name));
    recipe.tables_[name] =
        read_spec(*node.as_table(), known->kinds, fmt::format("[{}]", name), name == "data");
  }

  const toml::array& tables_in(const toml::node& node, const std::string& name,
                               const std::string& each) const {
    const toml::array* array = node.as_array();
    if (array == nullptr || (!array->empty() && !array->is_homogeneous<toml::table>()))
      throw UserError(fmt::format("{}: {} must be a list of tables; write [[{}]] before each {}", at(node),
                                  name, name, each));
    return *array;
  }

  void read_list(std::vector<Spec>& specs, const RecipeTable& list, const toml::node& node) const {
    const std::string each = list.name.substr(0, list.name.size() - 1);
    for (const toml::node& entry : tables_in(node, list.name, each))
      specs.push_back(read_spec(*entry.as_table(), list.kinds,
                                fmt::format("[{}.{}]", list.name, specs.size()),
                                !list.kinds.front()->name.empty()));
  }

  void read_blocks(const toml::node& node) {
    if (!node.is_table())
      throw UserError(
          fmt::format("{}: blocks must have names; write [[blocks.NAME]] before each layer", at(node)));
    for (const auto& [name, list] : *node.as_table()) {
      const std::string key = "blocks." + std::string(name.str());
      std::vector<LayerSpec>& block = blocks_[std::string(name.str())];
      for (const toml::node& layer : tables_in(list, key, "layer")) {
        const std::string place = fmt::format("[{}.{}]", key, block.size());
        block.push_back(read_spec(*layer.as_table(), layer_spec_kinds(), place, true));
      }
      if (block.empty())
        throw UserError(fmt::format("{}: the block '{}' has no layers", at(list), name.str()));
    }
  }

  void read_layers(Recipe& recipe, const toml::node& node) {
    for (const toml::node& layer : tables_in(node, "layers", "layer")) {
      const std::string place = fmt::format("[layers.{}]", recipe.layers_.size());
      const toml::table& table = *layer.as_table();
      if (const toml::node* kind = table.get("kind");
          kind != nullptr && kind->value<std::string>() == "block") {
        add_block(recipe, table, place);
        continue;
      }
      recipe.layers_.push_back(read_spec(table, layer_spec_kinds(), place, true));
    }
  }

  // A block's layers in its place, under its name.
  void add_block(Recipe& recipe, const toml::table& table, const std::string& place) {
    const BlockOptions use = block_fields().read(read_spec(table, block_spec_kinds(), place, true));
    std::vector<std::string> known;
    for (const auto& [name, block] : blocks_) known.push_back(name);
    const auto found = blocks_.find(use.block);
    if (found == blocks_.end())
      throw UserError(fmt::format("{}: {} block = {}: there are no [[blocks.{}]].{}", at(table), place,
                                  use.block.empty() ? "''" : use.block,
                                  use.block.empty() ? "NAME" : use.block, did_you_mean(use.block, known)));
    const std::string name = use.name.empty() ? fmt::format("block_{}", block_outputs_.size() + 1) : use.name;
    const std::vector<std::string> before = names_of(recipe.layers_), names = names_of(found->second);
    const std::vector<std::string> first{before.empty() ? all_columns : before.back()};
    const std::string input = join_words(use.input.empty() ? first : use.input);
    for (size_t i = 0; i < names.size(); ++i) {
      const LayerSpec& layer = found->second[i];
      // One of the block's own layers, a state of one, or something else.
      const auto meant = [&](const std::string& word) {
        const auto is_own = [&](const std::string& of) {
          return std::find(names.begin(), names.end(), of) != names.end();
        };
        const bool own = is_own(word) || is_own(word.substr(0, word.rfind('.')));
        return own ? name + "/" + word : word == all_columns ? input : word;
      };
      std::vector<std::string> taken, initial;
      for (const std::string& word : place_of(layer).input) taken.push_back(meant(word));
      for (const std::string& word : place_of(layer).initial_state) initial.push_back(meant(word));
      if (taken.empty()) taken.push_back(i == 0 ? input : name + "/" + names[i - 1]);
      const std::string& shares = layer.at("shares");
      recipe.layers_.push_back(layer.with("name", name + "/" + names[i])
                                   .with("input", join_words(taken))
                                   .with("initial_state", join_words(initial))
                                   .with("shares", !use.shares.empty() ? use.shares + "/" + names[i]
                                                   : !shares.empty()   ? name + "/" + shares
                                                                       : ""));
    }
    if (!block_outputs_.emplace(name, name + "/" + names.back()).second)
      throw UserError(
          fmt::format("{}: {} name = {}: another block has that name, too", at(table), place, name));
  }

  // What a block is called means the last of its layers.
  void name_blocks(Recipe& recipe) const {
    const auto meant = [&](const std::string& word) {
      // A state of that layer, too.
      const size_t end = block_outputs_.contains(word) ? word.size() : std::min(word.rfind('.'), word.size());
      const auto found = block_outputs_.find(word.substr(0, end));
      return found == block_outputs_.end() ? word : found->second + word.substr(end);
    };
    for (LayerSpec& layer : recipe.layers_)
      for (const char* option : {"input", "initial_state"}) {
        std::vector<std::string> taken = split_words(layer.at(option));
        std::transform(taken.begin(), taken.end(), taken.begin(), meant);
        layer = layer.with(option, join_words(taken));
      }
    for (Spec& output : recipe.lists_["outputs"])
      for (auto& [option, value] : output.options)
        if (option == "layer") value = meant(value);
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
    } else if (const toml::node* owner = table.get("shares"); chosen && must_have_kind && owner != nullptr) {
      throw UserError(fmt::format("{}: {} has no kind; write that of {}, which it shares", at(table), place,
                                  written(*owner)));
    } else if (chosen && must_have_kind) {
      throw UserError(fmt::format("{}: {} has no kind; write kind = \"{}\" or another", at(table), place,
                                  kinds.front()->name));
    }
    Spec spec = kind->defaults();
    spec.written.text = at(table) + ": ";
    for (const auto& [key, node] : table) {
      if (chosen && key.str() == "kind") continue;
      const SpecOption& option = kind->at(key.str(), fmt::format("{}: {}", at(node), place));
      const std::string here = fmt::format("{}: {} ", at(node), place);
      const std::optional<std::string> text = text_for(option, node);
      if (!text)
        throw UserError(fmt::format("{}{} = {}: must be {}", here, option.name, written(node), option.range));
      at_place(here, [&] { kind->set(spec, option, *text); });
    }
    // A layer that shares has the options of another.
    if (!table.contains("shares")) kind->check_complete(spec, fmt::format("{}: {}", at(table), place));
    return spec;
  }

  std::string file_;
  std::map<std::string, std::vector<LayerSpec>> blocks_;
  std::map<std::string, std::string> block_outputs_;
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
