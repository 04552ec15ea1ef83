#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lariat {

/// A file that appears complete or not at all: what is written goes to a temporary file in the same folder,
/// without a name where the file system can do that, and commit() puts it in the place of `path`. It has
/// permissions and owner of what it replaces, as far as the process may give them; of `like`, where it
/// replaces nothing and there is such a file. A symbolic link is followed. A device, a pipe or what this
/// process has open (/dev/stdout, /dev/fd/63) is written in place. Every failure throws UserError naming the
/// file, the reason and the way out; only a reader of standard output that goes away is none.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path, const std::string& like = {});
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// Without commit() the temporary file is removed and an earlier file at `path` stays as it was.
  ~AtomicFile();

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }

  /// Writes what is buffered, syncs the file, renames it to `path` and syncs the folder.
  void commit();

  /// Throws as the constructor would, and changes nothing; it does not wait for the reader of a pipe.
  static void check(const std::string& path);
  /// From here on nothing is written by this process: of several that compute one run, one writes.
  static void discard_all();

 private:
  void open_temporary();
  /// Gives the temporary file, which is complete, a name.
  void name_temporary();
  void flush();
  [[noreturn]] void fail(int error_number) const;

  std::string path_;    // as the caller named it, for messages
  std::string target_;  // the regular file behind path_
  bool in_place_ = false;
  std::string temporary_;  // empty where it has no name
  std::string buffer_;
  int descriptor_ = -1;
};

/// Whether `path` is no regular file that could be replaced, but a device, a pipe, or "/dev/stdout" and the
/// like, whatever they lead to.
bool is_written_in_place(const std::string& path);

}  // namespace lariat
