#include "frontends/cli/arguments.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <limits>

#include "embedded.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/data/option_table.hpp"
#include "frontends/spec/spec.hpp"
#include "graph/base/error.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/io/input_file.hpp"
#include "graph/ranks/ranks.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat::cli {

namespace {

// The folder beside the program, wherever the two were moved to.
std::string installed_plugins() {
  std::error_code none;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", none);
  return none ? std::string() : (program.parent_path() / plugin_folder).lexically_normal().string();
}

}  // namespace

Arguments::Arguments(std::string command, std::string doc, std::string example)
    : command_(std::move(command)), doc_(std::move(doc)), example_(std::move(example)) {}

void Arguments::word(std::string name, std::string& target, std::string doc, bool required) {
  entries_.push_back(
      {std::move(name), {}, std::move(doc), true, required, false, [&target](const Strings& given) {
         target = given.front();
       }});
}

void Arguments::words(std::string name, Strings& target, std::string doc, bool required) {
  entries_.push_back(
      {std::move(name), {}, std::move(doc), true, required, true, [&target](const Strings& given) {
         target = given;
       }});
}

namespace {

std::string input_named(const std::string& name) { return name == "-" ? "/dev/stdin" : name; }

}  // namespace

void Arguments::input_word(std::string name, std::string& target, std::string doc, bool required) {
  entries_.push_back({std::move(name),
                      {},
                      std::move(doc) + "; - is standard input",
                      true,
                      required,
                      false,
                      [&target](const Strings& given) { target = input_named(given.front()); }});
  inputs_.emplace_back([&target] { return Strings{target}; });
}

void Arguments::input_words(std::string name, Strings& target, std::string doc) {
  entries_.push_back({std::move(name),
                      {},
                      std::move(doc) + "; - is standard input",
                      true,
                      true,
                      true,
                      [&target](const Strings& given) {
                        target = given;
                        std::transform(target.begin(), target.end(), target.begin(), input_named);
                      }});
  inputs_.emplace_back([&target] { return target; });
}

void Arguments::input(std::string flag, std::string value_name, std::string& target, std::string doc) {
  option(
      std::move(flag), std::move(value_name),
      [&target](const std::string& name) { target = input_named(name); },
      std::move(doc) + "; - is standard input");
  inputs_.emplace_back([&target] { return Strings{target}; });
}

void Arguments::option(std::string flag, std::string value_name, std::string& target, std::string doc) {
  entries_.push_back({std::move(flag), std::move(value_name), std::move(doc), false, false, false,
                      [&target](const Strings& given) { target = given.front(); }});
}

void Arguments::repeated(std::string flag, std::string value_name, Strings& target, std::string doc) {
  entries_.push_back({std::move(flag), std::move(value_name), std::move(doc), false, false, true,
                      [&target](const Strings& given) { target = given; }});
}

void Arguments::option(std::string flag, std::string value_name,
                       std::function<void(const std::string&)> handler, std::string doc) {
  entries_.push_back({std::move(flag), std::move(value_name), std::move(doc), false, false, false,
                      [handler = std::move(handler)](const Strings& given) { handler(given.front()); }});
}

void Arguments::output(std::string flag, std::string value_name, std::string& target, std::string doc) {
  option(
      std::move(flag), std::move(value_name),
      [&target](const std::string& name) { target = name == "-" ? "/dev/stdout" : name; },
      std::move(doc) + "; - is standard output, where nothing else is then");
  outputs_.emplace_back([&target] { return Strings{target}; });
}

void Arguments::check_standard_streams() const {
  const auto count = [](const auto& all, int descriptor) {
    int64_t found = 0;
    for (const auto& names : all)
      for (const std::string& name : names()) found += named_descriptor(name) == descriptor ? 1 : 0;
    return found;
  };
  if (count(inputs_, STDIN_FILENO) > 1) fail("standard input is named twice; it can be read once");
  if (const auto& ranks = ranks_of_process(); ranks && ranks->size() > 1)
    for (const auto& names : inputs_)
      for (const std::string& name : names())
        if (named_descriptor(name) >= 0 || (!name.empty() && is_written_in_place(name)))
          fail(fmt::format(
              "{} is no file, and one process alone can read it; give a file that all {} ranks see", name,
              ranks->size()));
  const int64_t outputs = count(outputs_, STDOUT_FILENO);
  if (outputs > 1) fail("standard output is asked for twice; give each output its own name");
  if (outputs == 1) silence_results();
}

void Arguments::integer(std::string flag, std::optional<int64_t>& target, int64_t lowest, int64_t highest,
                        std::string doc) {
  const data::OptionDescription description{flag, doc, "integer", data::range_of(lowest, highest), {}};
  option(
      flag, "N",
      [&target, description, lowest, highest](const std::string& text) {
        target = data::parse_integer(description, text, lowest, highest);
      },
      doc);
}

void Arguments::flag(std::string flag, bool& target, std::string doc) {
  entries_.push_back({std::move(flag), {}, std::move(doc), false, false, false, [&target](const Strings&) {
                        target = true;
                      }});
}

void Arguments::seed(std::optional<int64_t>& target) {
  integer("--seed", target, 0, std::numeric_limits<int64_t>::max(), "seed of everything random");
}

void Arguments::threads(std::optional<int64_t>& target) {
  integer("--threads", target, 1, 1024,
          "threads to use; otherwise what the machine allows; results are the same");
}

void Arguments::plugins() {
  takes_plugins_ = true;
  entries_.push_back(
      {"--plugin", "FILE.so", "load the ops of this plugin", false, false, true, [](const Strings& files) {
         for (const std::string& file : files) load_plugin(file);
       }});
}

void Arguments::weights(NumberForm& target) {
  option(
      "--weights", "FORM",
      [&target](const std::string& name) {
        at_place("--weights ", [&] { target = number_form_named(name); });
      },
      "round the weights to f16 or int8, which takes fewer bytes; f32 (the default) keeps every bit");
}

void Arguments::json(std::string& target) {
  output("--json", "FILE", target, "write the figures as JSON too");
}

Strings Arguments::flags() const {
  Strings result{"--help"};
  for (const Entry& entry : entries_)
    if (!entry.is_word) result.push_back(entry.name);
  return result;
}

void Arguments::fail(const std::string& message) const {
  throw UsageError(fmt::format("{}: {}", command_, message));
}

void Arguments::unexpected(const std::string& word) const {
  if (word.size() > 1 && word.front() == '-') {
    const std::string flag = word.substr(0, word.find('='));
    const std::string nearest = nearest_name(flag, flags());
    fail(fmt::format("there is no option '{}'.{}", data::shortened(flag),
                     nearest.empty() ? fmt::format(" See {} --help", command_)
                                     : fmt::format(" Did you mean '{}'?", nearest)));
  }
  fail(fmt::format("'{}' is one word too many. See {} --help", data::shortened(word), command_));
}

std::string Arguments::help() const {
  std::string usage = command_, list;
  size_t width = std::string_view("-h, --help").size();
  const auto label = [](const Entry& entry) {
    return entry.value_name.empty() ? entry.name : entry.name + " " + entry.value_name;
  };
  for (const Entry& entry : entries_) width = std::max(width, label(entry).size());
  for (const Entry& entry : entries_) {
    if (entry.is_word) {
      const std::string word = entry.name + (entry.many ? "…" : "");
      usage += entry.required ? " " + word : " [" + word + "]";
    }
    list += fmt::format("  {:<{}}  {}{}\n", label(entry), width, entry.doc,
                        entry.many && !entry.is_word ? "; may be repeated" : "");
  }
  list += fmt::format("  {:<{}}  print this\n", "-h, --help", width);
  std::string example = "  " + example_;
  for (size_t at = example.find('\n'); at != std::string::npos; at = example.find('\n', at + 3))
    example.replace(at, 1, "\n  ");
  return fmt::format("Usage: {} [options]\n\n{}\n\n{}\nExample:\n{}\n", usage, doc_, list, example);
}

bool Arguments::read(const Strings& words) const {
  CLI::App app;
  app.set_help_flag("-h,--help");
  app.allow_extras();
  std::vector<Strings> values(entries_.size());
  std::vector<bool> switches(entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (!entry.is_word && entry.value_name.empty()) {
      app.add_flag_callback(entry.name, [&switches, i] { switches[i] = true; });
    } else if (!entry.is_word) {
      app.add_option_function<Strings>(entry.name, [&values, i](const Strings& given) { values[i] = given; })
          ->type_size(1)
          ->expected(1, std::numeric_limits<int>::max())
          ->allow_extra_args(false);
    }
  }
  try {
    // CLI11 takes the words last first.
    app.parse(Strings(words.rbegin(), words.rend()));
  } catch (const CLI::CallForHelp&) {
    print(help());
    return false;
  } catch (const CLI::ArgumentMismatch&) {
    // Only the last word can be an option without its value.
    fail(fmt::format("'{}' needs a value. See {} --help", words.empty() ? "" : words.back(), command_));
  } catch (const CLI::ParseError& error) {
    fail(fmt::format("{}. See {} --help", error.what(), command_));
  }
  // What CLI11 knows no option for: words, and options that there are not.
  Strings rest = app.remaining();
  const auto dashes = std::find(words.begin(), words.end(), "--");
  const auto behind_dashes = static_cast<size_t>(dashes == words.end() ? 0 : words.end() - dashes - 1);
  for (size_t i = 0; i + behind_dashes < rest.size(); ++i)
    if (rest[i] != "--" && rest[i].size() > 1 && rest[i].front() == '-') unexpected(rest[i]);
  std::erase(rest, "--");
  size_t next = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (!entry.is_word) continue;
    const size_t count = entry.many ? rest.size() - next : std::min<size_t>(1, rest.size() - next);
    values[i].assign(rest.begin() + static_cast<int64_t>(next),
                     rest.begin() + static_cast<int64_t>(next + count));
    next += count;
    if (count == 0 && entry.required) fail(fmt::format("{} is missing. See {} --help", entry.name, command_));
  }
  const Strings known = flags();
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (switches[i]) entry.set({});
    if (values[i].empty()) continue;
    if (!entry.is_word) {
      if (values[i].size() > 1 && !entry.many) fail(fmt::format("'{}' is given twice", entry.name));
      for (const std::string& value : values[i]) {
        if (value.empty()) fail(fmt::format("'{}' needs a value that is not empty", entry.name));
        if (std::find(known.begin(), known.end(), value) != known.end())
          fail(fmt::format("'{}' needs a value; '{}' is the next option", entry.name, value));
      }
    }
    try {
      entry.set(values[i]);
    } catch (const UserError& error) {
      fail(error.what());
    }
  }
  if (next < rest.size()) unexpected(rest[next]);
  check_standard_streams();
  if (takes_plugins_)
    for (const std::string& notice : load_plugins(installed_plugins())) report(notice);
  return true;
}

}  // namespace lariat::cli
