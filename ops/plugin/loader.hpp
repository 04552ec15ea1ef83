#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lariat {

struct OpDef;

/// A shared object with ops, written against ops/plugin/lariat_op.h. It stays loaded until the process ends.
struct Plugin {
  /// The absolute path it was loaded from.
  std::string file;
  std::string name, version, doc;
  std::vector<const OpDef*> ops = {};
};

/// Loads a plugin, whose ops are then like built-in ones; a file that is loaded already is only looked up.
/// Code in the file runs with the rights of this process: load only what you trust, and not while other
/// threads build graphs. Throws UserError naming the file and what is wrong with it; none of its ops is known
/// then.
const Plugin& load_plugin(const std::string& file);

/// Loads every *.so in the folders that LARIAT_PLUGIN_PATH names, separated by colons, and in `installed`
/// where that is not empty, by name. Returns a line for each one that was left out, and why.
std::vector<std::string> load_plugins(const std::string& installed = {});

/// In the order they were loaded.
std::vector<std::shared_ptr<const Plugin>> loaded_plugins();

/// Of a plugin's op.
struct PluginOrigin {
  std::string plugin, version, file, domain;
  uint32_t op_version = 0;
  bool thread_safe = true, deterministic = true, in_place = false;
};
PluginOrigin plugin_origin(const OpDef& op);

/// A letter from a to z, then letters, digits or _.
bool is_op_name(const std::string& name);

/// "the plugin 'name' version 1.0 ('/path/file.so')", or "" for a built-in op.
std::string origin_of(const OpDef& op);

/// How a plugin is loaded, to end a message with.
inline constexpr const char* how_to_load_plugins =
    "load its plugin with --plugin FILE, by load_plugin(path), or from a folder that LARIAT_PLUGIN_PATH "
    "names";

}  // namespace lariat
