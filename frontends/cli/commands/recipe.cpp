#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/recipe_arguments.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/data/foreign_names.hpp"
#include "frontends/recipe/notices.hpp"
#include "frontends/recipe/recipe_check.hpp"
#include "frontends/search/search.hpp"
#include "frontends/spec/initializers.hpp"
#include "frontends/spec/weight_penalty.hpp"
#include "graph/base/error.hpp"

namespace lariat::cli {

namespace {

// The tables of a recipe, [[layers]] and the kinds of [metrics] among them.
std::vector<RecipeTable> all_tables() {
  std::vector<RecipeTable> tables = recipe_tables();
  tables.insert(tables.begin() + 3, {"layers", "[[layers]], one after the other", layer_spec_kinds()});
  tables.insert(tables.end(), recipe_lists().begin(), recipe_lists().end());
  tables.push_back(
      {"blocks", "[[blocks.NAME]]: layers that one of the kind block stands for", block_spec_kinds()});
  tables.push_back({"initializers", "what kernel_initializer of a layer may be, with options as name=value",
                    initializer_spec_kinds()});
  for (RecipeTable& table : tables)
    if (table.name == "metrics")
      table.kinds.insert(table.kinds.end(), metric_spec_kinds().begin(), metric_spec_kinds().end());
  return tables;
}

std::string heading_of(const RecipeTable& table) { return fmt::format("[{}]  {}\n", table.name, table.doc); }

void list_tables(const Strings& words) {
  Arguments arguments("lariat recipe list", "Lists the tables of a recipe, and the kinds there are for each.",
                      "lariat recipe list");
  if (!arguments.read(words)) return;
  for (const RecipeTable& table : all_tables()) {
    std::vector<Strings> rows;
    for (const SpecKind* kind : table.kinds)
      if (!kind->name.empty()) rows.push_back({kind->name, kind->doc});
    print(heading_of(table) + columns(rows));
  }
  print(
      "\nlariat recipe show NAME shows the keys of a table or a kind, lariat recipe new KIND writes a "
      "recipe.\n");
}

std::string keys_of(const SpecKind& kind) {
  // The range comes last: it may be longer than a line.
  std::vector<Strings> rows;
  for (const SpecOption& option : kind.options)
    rows.push_back({option.name, option.default_value.empty() ? "" : "= " + option.default_value,
                    fmt::format("{}: {}", option.doc, option.range)});
  return rows.empty() ? "  no keys\n" : columns(rows);
}

// Where there is a key of that name: each form that it has, and the kinds that have it.
std::string places_of_key(const std::string& name) {
  std::vector<Strings> rows;
  for (const RecipeTable& table : all_tables())
    for (const SpecKind* kind : table.kinds) {
      const SpecOption* option = kind->find(name);
      if (option == nullptr) continue;
      const std::string place = kind->name.empty() ? fmt::format("[{}]", table.name)
                                                   : fmt::format("[{}] {}", table.name, kind->name);
      rows.push_back({place, option->default_value.empty() ? "" : "= " + option->default_value, option->range,
                      option->doc});
    }
  return rows.empty() ? "" : fmt::format("{} is a key of\n{}", name, columns(rows));
}

// What the name of a penalty is for.
std::string penalty_text(const std::string& name) {
  const Strings known = penalty_names();
  if (std::find(known.begin(), known.end(), name) == known.end()) return "";
  return fmt::format(
      "{0} is a penalty, for the keys of layers that end in _penalty and for [penalty]: kernel_penalty = "
      "\"{0}=1e-4\"\n  {1}\n",
      name, weight_penalty_range);
}

void show_kind(const Strings& words) {
  Arguments arguments(
      "lariat recipe show",
      "Shows the keys of a table or of a kind, with defaults and ranges; or where a key belongs.",
      "lariat recipe show dense");
  std::string name;
  arguments.word("NAME", name, "a table or a kind, as lariat recipe list names them, a key, or a penalty");
  if (!arguments.read(words)) return;
  Strings known;
  std::set<std::string> keys;
  std::string text;
  for (const RecipeTable& table : all_tables()) {
    known.push_back(table.name);
    for (const SpecKind* kind : table.kinds) {
      const bool listed = std::find(known.begin(), known.end(), kind->name) != known.end();
      if (!kind->name.empty() && !listed) known.push_back(kind->name);
      for (const SpecOption& option : kind->options) keys.insert(option.name);
      if (kind->name != name && !(table.name == name && kind->name.empty())) continue;
      text += fmt::format("[{}] {}: {}\n{}", table.name, kind->name.empty() ? "" : "kind = " + kind->name,
                          kind->doc, keys_of(*kind));
    }
    if (table.name == name && !table.kinds.front()->name.empty()) {
      text += heading_of(table);
      std::vector<Strings> rows;
      for (const SpecKind* kind : table.kinds) rows.push_back({kind->name, kind->doc});
      text += columns(rows);
    }
  }
  if (text.empty()) text = places_of_key(name) + penalty_text(name);
  known.insert(known.end(), keys.begin(), keys.end());
  for (const std::string& penalty : penalty_names()) known.push_back(penalty);
  if (text.empty())
    throw UserError(fmt::format("there is no table, kind, key or penalty '{}' in a recipe.{}",
                                data::shortened(name), data::what_was_meant(name, known)));
  print(text);
}

// What a recipe for a kind of data begins with.
std::string recipe_text(const SpecKind& data) {
  std::string text = fmt::format("# {}. Every key: lariat recipe show {}\n[data]\nkind = \"{}\"\n", data.doc,
                                 data.name, data.name);
  for (const SpecOption& option : data.options) {
    const bool quoted = option.type == "text" || option.type == "choice";
    const std::string& text_of = option.first_value.empty() ? option.default_value : option.first_value;
    const std::string value = option.type == "list" ? "[]" : quoted ? "\"" + text_of + "\"" : text_of;
    text += fmt::format("{} = {}  # {}\n", option.name, value, option.doc);
  }
  const DataForm form = data_kind_of({data.name, {}}).form;
  const bool table = form == DataForm::rows, images = form == DataForm::images;
  if (table) {
    text +=
        "\n# Numbers are learned by mean_squared_error, one class of several by softmax_cross_entropy, two "
        "classes or\n"
        "# several labels by sigmoid_cross_entropy. Others: lariat recipe list\n"
        "[loss]\nkind = \"mean_squared_error\"\n";
  } else if (!images) {
    text += "\n[features]\nkind = \"fbank\"\nnum_mel_bins = 40\ncmvn = \"global\"\n";
  }
  if (table || images)
    text +=
        "\n[[layers]]\nkind = \"dense\"\nunits = 64\nactivation = \"relu\"\nkernel_penalty = \"l1=1e-4\"\n";
  else
    text += "\n[[layers]]\nkind = \"lstm\"\nunits = 64\nkernel_penalty = \"l1=1e-4\"\n";
  return text +
         "\n# 0 units: one for each class, label or number that is learned.\n[[layers]]\nkind = "
         "\"dense\"\nunits = 0\n"
         "\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.001\n\n[training]\nepochs = 20\nbatch_size = "
         "32\n";
}

// A cell of a table in Markdown.
std::string cell(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '|' ? "\\|" : std::string(1, c);
  return result;
}

std::string key_rows(const std::vector<SpecOption>& options) {
  std::string text = "| key | default | values | |\n| --- | --- | --- | --- |\n";
  for (const SpecOption& option : options)
    text += fmt::format("| `{}` | {} | {} | {} |\n", option.name,
                        option.default_value.empty() ? "" : fmt::format("`{}`", cell(option.default_value)),
                        cell(option.range), cell(option.doc));
  return text;
}

// Every table, kind and key as a page: what all layers have stands once.
std::string reference_page() {
  std::string text =
      "# Reference\n\nWhat a recipe may hold, as `lariat recipe reference` prints it. `lariat recipe show "
      "NAME` shows "
      "a part of it.\n";
  const std::vector<SpecOption> shared = place_fields().kind("", "").options;
  for (const RecipeTable& table : all_tables()) {
    text += fmt::format("\n## {}\n\n{}\n", table.name, table.doc);
    if (table.name == "layers") text += "\nEvery layer has these keys behind its own:\n\n" + key_rows(shared);
    for (const SpecKind* kind : table.kinds) {
      std::vector<SpecOption> own = kind->options;
      if (table.name == "layers")
        std::erase_if(own, [&](const SpecOption& option) {
          return std::any_of(shared.begin(), shared.end(),
                             [&](const SpecOption& s) { return s.name == option.name; });
        });
      if (!kind->name.empty()) text += fmt::format("\n### {}\n\n{}\n", kind->name, kind->doc);
      if (!own.empty()) text += "\n" + key_rows(own);
    }
  }
  return text;
}

void print_reference(const Strings& words) {
  Arguments arguments("lariat recipe reference", "Prints all that a recipe may hold as a page of Markdown.",
                      "lariat recipe reference > reference.md");
  if (arguments.read(words)) print(reference_page());
}

void new_recipe(const Strings& words) {
  Arguments arguments("lariat recipe new", "Prints a recipe to begin with, for a kind of data or a task.",
                      "lariat recipe new csv > houses.toml\nlariat recipe new symbols > words.toml");
  std::string name;
  Strings of_tasks;
  for (const LearningTask& task : tasks())
    if (!task.recipe.empty()) of_tasks.push_back(task.name);
  arguments.word("KIND", name,
                 fmt::format("of data, as lariat recipe list names them: csv, numpy, idx, folders, …; or {}",
                             join_words(of_tasks)));
  if (!arguments.read(words)) return;
  for (const LearningTask& task : tasks())
    if (task.name == name && !task.recipe.empty()) return print(task.recipe);
  for (const RecipeTable& table : recipe_tables())
    if (table.name == "data") print(recipe_text(find_kind(table.kinds, name, "[data]")));
}

void check_recipe(const Strings& words) {
  Arguments arguments(
      "lariat recipe check",
      "Says whether a training by a recipe could begin, and the line of what would stop it. Where "
      "the data are there it reads them as the training would.",
      "lariat recipe check houses.toml\nlariat recipe check houses.toml --data houses.csv");
  RecipeArguments given;
  given.declare(arguments);
  arguments.plugins();
  if (!arguments.read(words)) return;
  const Recipe recipe = given.recipe("lariat recipe check");
  const std::string path = given.data.empty() ? recipe.data().path : given.data;
  std::string seen;
  check_outputs({}, {given.file}, recipe, given.data, {});
  if (!recipe.get("search.over").empty()) at_place("[search] ", [&] { search::check_search(recipe); });
  std::error_code none;
  if (!given.data.empty() || (!path.empty() && std::filesystem::exists(path, none))) {
    RunOptions options;
    options.data = given.data;
    options.on_warning = report;
    TrainingRun run(recipe, options);
    for (const std::string& notice : run.notices()) report(notice);
    run.check();
    seen = fmt::format(", and {} examples of '{}' fit it",
                       grouped(static_cast<int64_t>(run.train_examples())), path);
  } else {
    for (const std::string& notice : notices_of(recipe)) report(notice);
    check_without_data(recipe);
  }
  Strings losses;
  for (const ModelOutput& output : recipe.outputs()) losses.push_back(output.loss.name);
  print(fmt::format("{}: is in order: {} of {} layers, {}{}\n", given.file, recipe.table("data").kind,
                    recipe.layers().size(), join_words(losses), seen));
}

const std::vector<Command> recipe_commands{
    {"list", "the tables of a recipe and their kinds", list_tables},
    {"show", "the keys of a table or a kind", show_kind},
    {"new", "a recipe to begin with", new_recipe},
    {"check", "whether a training by a recipe could begin", check_recipe},
    {"reference", "all that a recipe may hold, as a page", print_reference},
};

}  // namespace

static void recipe(const Strings& words) { dispatch("lariat recipe", recipe_commands, words); }

Command command_records::recipe() {
  return {"recipe", "list what a recipe can hold, write one to begin with, or check one", cli::recipe,
          CommandGroup::beginning};
}

}  // namespace lariat::cli
