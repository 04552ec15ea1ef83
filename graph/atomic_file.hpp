#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lariat {

/// A file that appears complete or not at all: what is written goes to a temporary file in the same folder,
/// and commit() puts that in the place of `path`. A symbolic link is followed. A device or pipe (/dev/stdout)
/// is written in place. Every failure throws UserError naming the file, the reason and the way out.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// Without commit() the temporary file is removed and an earlier file at `path` stays as it was.
  ~AtomicFile();

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }

  /// Writes what is buffered, syncs the file, renames it to `path` and syncs the folder.
  void commit();

 private:
  void flush();
  [[noreturn]] void fail(int error_number) const;

  std::string path_;       // as the caller named it, for messages
  std::string target_;     // the regular file behind path_
  std::string temporary_;  // empty where the target is written in place
  std::string buffer_;
  int descriptor_ = -1;
};

}  // namespace lariat
