#include "ops/plugin/loader.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <clocale>
#include <csignal>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "graph/base/error.hpp"
#include "graph/ir/registry.hpp"
#include "ops/plugin/child_process.hpp"
#include "ops/plugin/guard.hpp"
#include "ops/plugin/in_place.hpp"
#include "ops/plugin/object_file.hpp"
#include "ops/plugin/structs.hpp"

namespace lariat {

namespace {

namespace fs = std::filesystem;
using namespace plugin;

constexpr const char* entry_name = "lariat_plugin_entry";

// What code that runs when a library is loaded may change for the whole process. -Ofast sets flush-to-zero.
class StateBeforeLoading {
 public:
  StateBeforeLoading()
      : locale_(text_of(std::setlocale(LC_ALL, nullptr))), thread_locale_(uselocale(nullptr)) {
    for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, nullptr, &actions_[signal]);
  }
  ~StateBeforeLoading() {
    modes_.restore();
    uselocale(thread_locale_);
    if (locale_ != text_of(std::setlocale(LC_ALL, nullptr))) std::setlocale(LC_ALL, locale_.c_str());
    for (int signal = 1; signal < NSIG; ++signal) {
      struct sigaction present = {};
      if (sigaction(signal, nullptr, &present) == 0 && present.sa_handler != actions_[signal].sa_handler)
        sigaction(signal, &actions_[signal], nullptr);
    }
  }
  StateBeforeLoading(const StateBeforeLoading&) = delete;
  StateBeforeLoading& operator=(const StateBeforeLoading&) = delete;

 private:
  FloatModes modes_;
  std::string locale_;
  locale_t thread_locale_;
  struct sigaction actions_[NSIG] = {};
};

struct Loaded {
  std::recursive_mutex mutex;
  std::vector<std::shared_ptr<const Plugin>> plugins;
};

Loaded& loaded() {
  static Loaded instance;
  return instance;
}

// The description that the file's entry returns, and the library as dlopen gives it. It stays mapped,
// whatever is done to its handle and whether or not it is refused: it may have left addresses of its code
// anywhere.
const void* enter(const std::string& file, void*& library) {
  const lariat_plugin* description = nullptr;
  const auto opening = attempt([&] {
    library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    return lariat_status{LARIAT_OK};
  });
  if (opening.threw)
    throw UserError("it let an exception out while it was loaded; its global objects must not throw");
  if (library == nullptr) {
    std::string why = text_of(dlerror());
    if (why.starts_with(file + ": ")) why.erase(0, file.size() + 2);
    throw UserError(fmt::format("it cannot be loaded: {}", why));
  }
  void* symbol = dlsym(library, entry_name);
  if (symbol == nullptr)
    throw UserError(fmt::format("it is no plugin of Lariat: it exports no function {}", entry_name));
  const auto entry = reinterpret_cast<const lariat_plugin* (*)(const lariat_host*)>(symbol);
  take_message();
  const Failure failure = attempt([&] {
    description = entry(&host());
    return lariat_status{LARIAT_OK};
  });
  if (failure.threw) throw UserError(fmt::format("it let an exception out of {}", entry_name));
  if (description == nullptr) {
    const std::string why = take_message();
    throw UserError(why.empty() ? fmt::format("its {} returned NULL without a message", entry_name)
                                : fmt::format("it refuses this host: {}", why));
  }
  return description;
}

lariat_plugin checked(const void* description) {
  const auto entry = read_struct<lariat_plugin>(description, first::plugin, "its description");
  if (entry.magic != LARIAT_OP_MAGIC)
    throw UserError(fmt::format("its description has the magic number {:08x}; lariat_op.h has {:08x}",
                                entry.magic, LARIAT_OP_MAGIC));
  if (entry.major != LARIAT_OP_MAJOR)
    throw UserError(
        fmt::format("it was compiled against version {}.{} of lariat_op.h, this host has {}.{}; compile "
                    "it against this host's",
                    entry.major, entry.minor, LARIAT_OP_MAJOR, LARIAT_OP_MINOR));
  if (entry.needs_minor > LARIAT_OP_MINOR)
    throw UserError(
        fmt::format("it needs version {}.{} of lariat_op.h, this host has {}.{}; use a newer Lariat",
                    entry.major, entry.needs_minor, LARIAT_OP_MAJOR, LARIAT_OP_MINOR));
  if (text_of(entry.name).empty() || text_of(entry.version).empty())
    throw UserError("its description gives no name or version");
  return entry;
}

std::vector<OpDef> all_records(const lariat_plugin& entry, const std::shared_ptr<Plugin>& plugin) {
  std::vector<OpDef> records;
  if (entry.op_count < 1) throw UserError("it has no ops");
  for_each(entry.ops, entry.op_count, first::op, "ops", [&](const lariat_op& op, int64_t) {
    for (OpDef& record : records_of(op, plugin)) records.push_back(std::move(record));
  });
  return records;
}

struct Description {
  std::shared_ptr<Plugin> plugin;
  std::vector<OpDef> records;
};

Description describe(const std::string& file, void*& library) {
  const lariat_plugin entry = checked(enter(file, library));
  const auto plugin =
      std::make_shared<Plugin>(Plugin{file, text_of(entry.name), text_of(entry.version), text_of(entry.doc)});
  return {plugin, all_records(entry, plugin)};
}

// Does to the library's global objects what the end of the process does. dlclose() would not: it keeps C++
// libraries that have objects which are one in a process.
void end_globals(void* library) {
  link_map* map = nullptr;
  if (library == nullptr || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) return;
  ElfW(Addr) functions = 0;
  size_t count = 0;
  for (const ElfW(Dyn)* entry = map->l_ld; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_FINI_ARRAY) functions = map->l_addr + entry->d_un.d_ptr;
    if (entry->d_tag == DT_FINI_ARRAYSZ) count = entry->d_un.d_val / sizeof(void (*)());
  }
  while (functions != 0 && count-- > 0) reinterpret_cast<void (**)()>(functions)[count]();
}

// What a process of its own, which loads the file first, finds out.
struct Trial {
  bool loaded = false, tried = false;
  std::set<std::string> in_place;
};

// A global object that throws, crashes, exits or waits for ever does so in a process that nobody needs. So
// does a kernel that is tried for what it claims, which only makes programs faster: it is not taken on trust.
Trial try_to_load(const std::string& file) {
  constexpr int64_t seconds = 10;
  const std::string refusal = "refused: ", in_place = "in place: ";
  std::optional<std::string> refused;
  Trial trial;
  const ChildEnd end = run_in_child(
      [&](const ChildLines& lines) {
        std::optional<Description> description;
        void* library = nullptr;
        try {
          description = describe(file, library);
        } catch (const UserError& error) {
          std::string why = error.what();
          std::replace(why.begin(), why.end(), '\n', ' ');
          return lines.send(refusal + why);
        } catch (const std::exception&) {
          // Loading it in this process says the same.
        }
        lines.send("loaded");
        try {
          for (const OpDef& op : description ? description->records : std::vector<OpDef>())
            if (!op.traits.in_place.empty() && is_in_place(op)) lines.send(in_place + op.name);
        } catch (const std::exception&) {
          // Those that were not reached are not taken to work in place.
        }
        lines.send("tried");
        end_globals(library);
      },
      {.seconds = seconds, .is_silent = true},
      [&](const std::string& line) {
        if (line.starts_with(refusal)) {
          refused = line.substr(refusal.size());
        } else if (line == "loaded") {
          trial.loaded = true;
        } else if (line == "tried") {
          trial.tried = true;
        } else if (line.starts_with(in_place)) {
          trial.in_place.insert(line.substr(in_place.size()));
        }
      });
  // What it would do at the end of this process, by global objects, is not for a file that is refused.
  if (refused) throw UserError(*refused);
  if (end.started && !trial.loaded)
    throw UserError(
        fmt::format("it was tried in a process of its own: it {} while it was loaded", end.failure));
  if (trial.tried && !end.failure.empty())
    throw UserError(fmt::format("it was tried in a process of its own: it {} at its end", end.failure));
  return trial;
}

void register_ops(Description& description, const Trial& trial) {
  std::vector<OpDef>& records = description.records;
  // All or none of them.
  for (size_t i = 0; i < records.size(); ++i) {
    const std::string& name = records[i].name;
    for (size_t j = 0; j < i; ++j)
      if (records[j].name == name) throw UserError(fmt::format("it defines the op '{}' twice", name));
    const OpDef* known = registry().find(name);
    if (known == nullptr) continue;
    throw UserError(fmt::format(
        "its op '{}' is known already from {}; load one of the two, or rename it", name,
        known->plugin ? fmt::format("'{}'", known->plugin->plugin->file) : std::string("Lariat itself")));
  }
  for (OpDef& record : records) {
    if (!trial.in_place.contains(record.name)) record.traits.in_place.clear();
    description.plugin->ops.push_back(&registry().add(std::move(record)));
  }
}

std::vector<std::string> shared_objects(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, none))
    if (entry.path().extension() == ".so") files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

const Plugin& load_plugin(const std::string& file) {
  const std::lock_guard lock(loaded().mutex);
  std::error_code missing;
  const fs::path path = fs::canonical(file, missing);
  if (missing || !fs::is_regular_file(path, missing))
    throw UserError(
        fmt::format("plugin '{}': there is no such file; give the path of a shared object", file));
  for (const auto& known : loaded().plugins)
    if (known->file == path) return *known;
  try {
    if (const std::string why = cut_off(path.string()); !why.empty()) throw UserError(why);
    const Trial trial = try_to_load(path.string());
    const StateBeforeLoading before;
    void* library = nullptr;
    Description description = describe(path.string(), library);
    register_ops(description, trial);
    loaded().plugins.push_back(description.plugin);
    return *description.plugin;
  } catch (const UserError& error) {
    throw UserError(fmt::format("plugin '{}': {}", file, error.what()));
  }
}

std::vector<std::string> load_plugins(const std::string& installed) {
  std::vector<std::string> notices;
  std::vector<std::string> folders;
  std::string list = text_of(std::getenv("LARIAT_PLUGIN_PATH"));
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(':', begin), list.size());
    const std::string folder = list.substr(begin, end - begin);
    begin = end + 1;
    if (fs::path(folder).is_absolute()) {
      folders.push_back(folder);
    } else {
      notices.push_back(
          fmt::format("LARIAT_PLUGIN_PATH: '{}' is no absolute path and is left out; plugins are not taken "
                      "from the working "
                      "folder",
                      folder));
    }
  }
  if (!installed.empty()) folders.push_back(installed);
  for (const std::string& folder : folders)
    for (const std::string& file : shared_objects(folder)) {
      try {
        load_plugin(file);
      } catch (const UserError& error) {
        notices.push_back(fmt::format("left out: {}", error.what()));
      }
    }
  return notices;
}

std::vector<std::shared_ptr<const Plugin>> loaded_plugins() {
  const std::lock_guard lock(loaded().mutex);
  return loaded().plugins;
}

PluginOrigin plugin_origin(const OpDef& op) {
  require(op.plugin != nullptr, "the origin of a plugin's op is asked for");
  const Plugin& plugin = *op.plugin->plugin;
  const lariat_op& functions = op.plugin->functions;
  return {plugin.name,
          plugin.version,
          plugin.file,
          text_of(functions.domain),
          functions.version,
          op.plugin->is_thread_safe(),
          (functions.flags & LARIAT_DETERMINISTIC) != 0,
          (functions.flags & LARIAT_IN_PLACE) != 0};
}

bool is_op_name(const std::string& name) {
  return !name.empty() && name[0] >= 'a' && name[0] <= 'z' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

std::string origin_of(const OpDef& op) {
  if (!op.plugin) return {};
  const PluginOrigin origin = plugin_origin(op);
  return fmt::format("the plugin '{}' version {} ('{}')", origin.plugin, origin.version, origin.file);
}

}  // namespace lariat
