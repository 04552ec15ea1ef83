#include "graph/io/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <system_error>

#include "graph/io/system_call.hpp"

namespace lariat {

namespace {

constexpr size_t most_at_once = size_t{1} << 30;  // Linux reads at most 2 GiB in one call

[[noreturn]] void fail(int error_number) { throw std::system_error(error_number, std::generic_category()); }

}  // namespace

std::string reason_of(const std::system_error& error, const std::string& kind,
                      const std::string& not_folder) {
  switch (error.code().value()) {
    case ENOENT:
    case ENOTDIR:
      return "there is no such " + kind + "; check the path";
    case EISDIR:
      return "is a folder; name " + not_folder;
    case EIO:
      return "cannot be read to its end; copy it again";
    default:
      return "cannot be read (" + error.code().message() + "); check its permissions";
  }
}

int named_descriptor(const std::string& path) {
  if (path == "/dev/stdin") return STDIN_FILENO;
  if (path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const char* folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(folder)) continue;
    const char *const begin = path.data() + std::strlen(folder), *const end = path.data() + path.size();
    int number = -1;
    const auto [rest, error] = std::from_chars(begin, end, number);
    if (error == std::errc{} && rest == end && number >= 0) return number;
  }
  return -1;
}

InputFile::InputFile(const std::string& path) {
  const int named = named_descriptor(path);
  // Opening /dev/stdin anew is refused where it is a socket, or belongs to another user.
  descriptor_ = uninterrupted([&] {
    return named >= 0 ? fcntl(named, F_DUPFD_CLOEXEC, 0) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  });
  if (descriptor_ < 0) fail(errno);
  struct stat status = {};
  if (fstat(descriptor_, &status) != 0 || S_ISDIR(status.st_mode)) {
    const int error_number = S_ISDIR(status.st_mode) ? EISDIR : errno;
    close(descriptor_);
    fail(error_number);
  }
  // What was read of it before, by a shell, is not part of it. Files of /proc have no size.
  const off_t before = S_ISREG(status.st_mode) ? lseek(descriptor_, 0, SEEK_CUR) : -1;
  regular_ = before >= 0 && status.st_size > before;
  size_ = regular_ ? static_cast<uint64_t>(status.st_size - before) : 0;
  if (regular_) return;
  try {
    size_t filled = 0;
    for (size_t room = size_t{1} << 16;; room *= 2) {
      contents_.resize(room);
      while (filled < room) {
        const ssize_t count =
            uninterrupted([&] { return ::read(descriptor_, contents_.data() + filled, room - filled); });
        if (count < 0) fail(errno);
        if (count == 0) break;
        filled += static_cast<size_t>(count);
      }
      if (filled < room) break;
    }
    contents_.resize(filled);
  } catch (...) {
    close(descriptor_);
    throw;
  }
  size_ = contents_.size();
}

InputFile::~InputFile() { close(descriptor_); }

size_t InputFile::read_some(void* data, size_t bytes) {
  if (!regular_) {
    const size_t count = std::min(bytes, contents_.size() - at_);
    std::memcpy(data, contents_.data() + at_, count);
    at_ += count;
    return count;
  }
  size_t done = 0;
  while (done < bytes) {
    const ssize_t count = uninterrupted([&] {
      return ::read(descriptor_, static_cast<char*>(data) + done, std::min(bytes - done, most_at_once));
    });
    if (count < 0) fail(errno);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

void InputFile::read(void* data, size_t bytes) {
  if (read_some(data, bytes) != bytes) fail(EIO);
}

std::string InputFile::rest() {
  if (!regular_) return at_ == 0 ? std::move(contents_) : contents_.substr(at_);
  // The size is a first guess only: the file may grow.
  std::string bytes;
  size_t filled = 0;
  for (size_t room = size_ + 1;; room *= 2) {
    bytes.resize(room);
    filled += read_some(bytes.data() + filled, room - filled);
    if (filled < room) break;
  }
  bytes.resize(filled);
  return bytes;
}

}  // namespace lariat
