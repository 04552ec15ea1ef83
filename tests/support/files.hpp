#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace lariat::testing {

/// A folder of its own, gone with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  /// The path of `name` in it.
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  const std::filesystem::path& path() const { return path_; }
  std::string text() const { return path_.string(); }
  /// The files and folders in it.
  int64_t entries() const;

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::string& file);
void write_file(const std::string& file, const std::string& text);

}  // namespace lariat::testing
