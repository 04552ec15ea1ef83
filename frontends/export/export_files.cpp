#include "frontends/export/export_files.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <optional>

#include "frontends/speech/clips.hpp"
#include "graph/base/error.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::to_c {

namespace {

namespace fs = std::filesystem;

// A folder beside the one that is wanted, which goes with all it holds unless it gets that one's name.
class NewFolder {
 public:
  explicit NewFolder(const std::string& wanted) : wanted_(wanted) {
    path_ = wanted + ".XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) fail(errno);
    std::error_code none;
    // As mkdir makes it.
    const mode_t mask = umask(0);
    umask(mask);
    fs::permissions(path_, static_cast<fs::perms>(0777 & ~mask), none);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  ~NewFolder() {
    std::error_code none;
    if (!path_.empty()) fs::remove_all(path_, none);
  }

  const std::string& path() const { return path_; }

  void commit() {
    std::error_code error;
    fs::rename(path_, wanted_, error);
    if (error) fail(error.value());
    path_.clear();
  }

 private:
  [[noreturn]] void fail(int error) const {
    throw UserError(fmt::format("'{}' cannot be made: {}; choose another folder", wanted_,
                                std::generic_category().message(error)));
  }

  std::string wanted_, path_;
};

std::string without_slashes(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

}  // namespace

void check_folder(const std::string& folder, const std::vector<std::string>& names) {
  std::error_code error;
  const fs::path path = without_slashes(folder);
  if (!fs::exists(fs::symlink_status(path, error))) {
    const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
    if (!fs::is_directory(parent, error))
      throw UserError(fmt::format("'{}' cannot be made: there is no folder '{}'; make it first", folder,
                                  parent.string()));
    if (access(parent.c_str(), W_OK) != 0)
      throw UserError(fmt::format("'{}' cannot be made: {}; choose another folder", folder,
                                  std::generic_category().message(errno)));
    return;
  }
  if (!fs::is_directory(path, error))
    throw UserError(fmt::format("'{}' is no folder; choose another name", folder));
  // What a run that was killed left of a file goes when that one is written.
  const auto is_ours = [&](const std::string& entry) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return entry == name || entry.starts_with(name + ".tmp-");
    });
  };
  for (const std::string& entry : speech::entries_of(path.string()))
    if (const std::string name = fs::path(entry).filename().string(); !is_ours(name))
      throw UserError(fmt::format(
          "'{}' holds other files, such as '{}'; choose an empty folder or another name", folder, name));
  for (const std::string& name : names) AtomicFile::check((path / name).string());
}

void write_files(const std::string& folder, const std::vector<std::pair<std::string, std::string>>& files) {
  std::vector<std::string> names;
  for (const auto& [name, text] : files) names.push_back(name);
  check_folder(folder, names);
  std::error_code error;
  const std::string wanted = without_slashes(folder);
  std::optional<NewFolder> made;
  if (!fs::exists(wanted, error)) made.emplace(wanted);
  const fs::path into = made ? made->path() : wanted;
  std::deque<AtomicFile> open;
  for (const auto& [name, text] : files) open.emplace_back((into / name).string()).write(text);
  for (AtomicFile& file : open) file.commit();
  if (made) made->commit();
}

}  // namespace lariat::to_c
