#include "graph/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "graph/error.hpp"

namespace lariat {

namespace {

constexpr size_t buffer_bytes = size_t{1} << 16;
constexpr int most_links = 40;

const char* advice(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "free some space or choose another place with --out";
    case ENOENT:
    case ENOTDIR:
      return "create its folder first or choose another place with --out";
    default:
      return "choose another place with --out";
  }
}

// An empty path names no folder to open; the current one is meant.
std::string folder_of(const std::string& file) {
  const std::string folder = std::filesystem::path(file).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), target_(path_) {
  static std::atomic<unsigned> counter{0};
  std::error_code none;
  for (int links = 0; std::filesystem::is_symlink(target_, none); ++links) {
    if (links == most_links) fail(ELOOP);
    const std::filesystem::path next = std::filesystem::read_symlink(target_, none);
    if (none) fail(none.value());
    target_ = (std::filesystem::path(target_).parent_path() / next).string();
  }
  struct stat status = {};
  const bool exists = stat(target_.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) {
    if (S_ISDIR(status.st_mode)) fail(EISDIR);
    descriptor_ = open(target_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    temporary_ = fmt::format("{}.tmp-{}-{}", target_, getpid(), counter++);
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    // A private file stays private. Where that is refused, the usual mode has to do.
    if (descriptor_ >= 0 && exists && fchmod(descriptor_, status.st_mode & 07777) != 0) errno = 0;
  }
  if (descriptor_ < 0) {
    temporary_.clear();  // a file of that name, if there is one, is not ours to remove
    fail(errno);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::fail(int error_number) const {
  throw UserError(fmt::format("cannot write '{}': {}; {}", path_,
                              std::generic_category().message(error_number), advice(error_number)));
}

void AtomicFile::write(const void* data, size_t bytes) {
  buffer_.append(static_cast<const char*>(data), bytes);
  if (buffer_.size() >= buffer_bytes) flush();
}

void AtomicFile::flush() {
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t written = ::write(descriptor_, buffer_.data() + done, buffer_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    done += static_cast<size_t>(written);
  }
  buffer_.clear();
}

void AtomicFile::commit() {
  require(descriptor_ >= 0, "AtomicFile::commit is called once");
  flush();
  const bool in_place = temporary_.empty();
  // A terminal or pipe cannot be synced, and need not be.
  if (!in_place && fsync(descriptor_) != 0) fail(errno);
  if (close(std::exchange(descriptor_, -1)) != 0) fail(errno);
  if (in_place) return;
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail(errno);
  temporary_.clear();
  // The rename itself is durable only once the folder is synced; some file systems refuse that with EINVAL.
  const int folder = open(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  const int status = fsync(folder);
  const int error_number = errno;
  close(folder);
  if (status != 0 && error_number != EINVAL) fail(error_number);
}

}  // namespace lariat
