#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/commands/plugin.hpp"
#include "frontends/cli/commands/plugin_templates.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/shell.hpp"
#include "graph/base/error.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/ir/registry.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat::cli {

namespace {

namespace fs = std::filesystem;

std::string with_name(std::string text, const std::string& name) {
  for (size_t at = 0; (at = text.find("NAME", at)) != std::string::npos; at += name.size())
    text.replace(at, 4, name);
  return text;
}

}  // namespace

void plugin_new(const Strings& words) {
  Arguments arguments(
      "lariat plugin new",
      "Writes a project with one op: a source, a Makefile and a meson.build, of which one is enough.",
      "lariat plugin new soft_sign soft_sign --kind penalty && make -C soft_sign");
  std::string name, folder;
  const PluginTemplate* chosen = &plugin_templates().front();
  Strings kinds, docs;
  for (const PluginTemplate& known : plugin_templates()) {
    kinds.push_back(known.kind);
    docs.push_back(fmt::format("{}: {}", known.kind, known.doc));
  }
  arguments.word("NAME", name, "of the op and the plugin");
  arguments.word("DIR", folder, "the folder to make");
  arguments.option(
      "--kind", "KIND",
      [&](const std::string& kind) {
        const auto found = std::find(kinds.begin(), kinds.end(), kind);
        if (found == kinds.end())
          throw UserError(
              fmt::format("there is no kind '{}' of plugins.{}", kind, did_you_mean(kind, kinds)));
        chosen = &plugin_templates()[static_cast<size_t>(found - kinds.begin())];
      },
      fmt::format("what to begin with; otherwise op. {}", fmt::join(docs, "; ")));
  if (!arguments.read(words)) return;
  if (!is_op_name(name))
    throw UserError(
        fmt::format("'{}' is no name of an op: it is a letter from a to z, then a to z, 0 to 9 or _", name));
  if (registry().find(name))
    throw UserError(
        fmt::format("'{}' is an op already, and a plugin cannot replace it; choose another name", name));
  std::error_code failure;
  if (fs::exists(folder, failure) && (!fs::is_directory(folder, failure) || !fs::is_empty(folder, failure)))
    throw UserError(fmt::format("'{}' is there already; name a folder that is not", folder));
  fs::create_directories(folder, failure);
  if (failure) throw UserError(fmt::format("the folder '{}' cannot be made: {}", folder, failure.message()));
  Strings written;
  for (const auto& [file, text] : chosen->files) {
    written.push_back(with_name(file, name));
    AtomicFile out((fs::path(folder) / written.back()).string());
    out.write(with_name(text, name));
    out.commit();
  }
  print(fmt::format("{}: {}\n\nmake -C {}\nlariat plugin check {}/{}.so\n", folder, fmt::join(written, ", "),
                    cli::quoted(folder), cli::quoted(folder), name));
}

}  // namespace lariat::cli
