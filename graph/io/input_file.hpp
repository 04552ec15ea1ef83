#pragma once

#include <cstdint>
#include <string>
#include <system_error>

namespace lariat {

/// A file to read. A regular one is read as it lies; what a pipe or a device gives is kept in memory, so that
/// its size is known. "/dev/stdin" and "/dev/fd/N" are what this process has open, wherever that leads.
class InputFile {
 public:
  /// Throws std::system_error with the reason, such as ENOENT, or EISDIR for a folder.
  explicit InputFile(const std::string& path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  /// In bytes.
  uint64_t size() const { return size_; }
  /// The next bytes. Throws std::system_error, also where the file ends before them.
  void read(void* data, size_t bytes);
  /// All that follows.
  std::string rest();

 private:
  /// As many of the next bytes as there are, at most `bytes`.
  size_t read_some(void* data, size_t bytes);

  int descriptor_ = -1;
  bool regular_ = false;
  uint64_t size_ = 0;
  std::string contents_;  // of what is not regular
  size_t at_ = 0;         // within the contents
};

/// Why a file could not be read, and what to do, for the one line that a user reads: "there is no such file;
/// check the path".
std::string reason_of(const std::system_error& error, const std::string& kind = "file",
                      const std::string& not_folder = "a file");

/// The descriptor that `path` names as "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd/N" or
/// "/proc/self/fd/N"; -1 where it is another path.
int named_descriptor(const std::string& path);

}  // namespace lariat
