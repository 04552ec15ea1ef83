#include "graph/io/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "graph/base/error.hpp"
#include "graph/io/input_file.hpp"
#include "graph/io/system_call.hpp"

namespace lariat {

namespace {

constexpr size_t buffer_bytes = size_t{1} << 16;
constexpr int most_links = 40;
bool discards = false;
// So many may write one file at a time.
constexpr int most_temporaries = 1000;
constexpr const char* access_list = "system.posix_acl_access";

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

std::string open_file_path(int descriptor) { return fmt::format("/proc/self/fd/{}", descriptor); }

// Permissions, access list and owner of `from`, whose status is `status`, for the file of `descriptor`; what
// is refused stays as it is with any file.
void take_after(const std::string& from, const struct stat& status, int descriptor) {
  struct stat now = {};
  if (fstat(descriptor, &now) != 0) return;
  mode_t mode = status.st_mode & 07777;
  const bool same = now.st_uid == status.st_uid && now.st_gid == status.st_gid;
  // Who may not give a file away may still be in its group.
  if (!same && fchown(descriptor, status.st_uid, status.st_gid) != 0) {
    mode &= 0777;
    if (fchown(descriptor, static_cast<uid_t>(-1), status.st_gid) != 0) errno = 0;
  }
  if (fchmod(descriptor, mode) != 0) errno = 0;
  std::vector<char> list(4096);
  const ssize_t size = getxattr(from.c_str(), access_list, list.data(), list.size());
  if (size > 0 && fsetxattr(descriptor, access_list, list.data(), static_cast<size_t>(size), 0) != 0)
    errno = 0;
}

// Removes a temporary file that nobody writes: its writer, which would hold a lock on it, was killed.
bool remove_abandoned(const std::string& file) {
  const int descriptor = uninterrupted([&] { return open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC); });
  if (descriptor < 0) return errno == ENOENT;
  struct stat opened = {}, present = {};
  const bool abandoned = flock(descriptor, LOCK_EX | LOCK_NB) == 0 && fstat(descriptor, &opened) == 0 &&
                         lstat(file.c_str(), &present) == 0 && opened.st_ino == present.st_ino;
  if (abandoned) unlink(file.c_str());
  close(descriptor);
  return abandoned;
}

// The first name beside `target` for which `take` succeeds, or "" with errno: it returns whether, and sets
// EEXIST where the name is taken.
template <class Take>
std::string free_name(const std::string& target, Take&& take) {
  for (int number = 1; number <= most_temporaries; ++number) {
    const std::string name = fmt::format("{}.tmp-{}", target, number);
    if (take(name)) return name;
    if (errno != EEXIST) return {};
    if (remove_abandoned(name)) {
      if (take(name)) return name;
      if (errno != EEXIST) return {};
    }
  }
  return {};
}

}  // namespace

bool is_written_in_place(const std::string& path) {
  struct stat status = {};
  return named_descriptor(path) >= 0 ||
         (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode));
}

void AtomicFile::discard_all() { discards = true; }

AtomicFile::AtomicFile(std::string path, const std::string& like)
    : path_(discards ? "/dev/null" : std::move(path)), target_(path_) {
  in_place_ = is_written_in_place(path_);
  if (in_place_) {
    const int named = named_descriptor(path_);
    descriptor_ = uninterrupted([&] {
      return named >= 0 ? fcntl(named, F_DUPFD_CLOEXEC, 0) : open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    });
    if (descriptor_ < 0) fail(errno);
    return;
  }
  std::error_code none;
  for (int links = 0; std::filesystem::is_symlink(target_, none); ++links) {
    if (links == most_links) fail(ELOOP);
    const std::filesystem::path next = std::filesystem::read_symlink(target_, none);
    if (none) fail(none.value());
    target_ = (std::filesystem::path(target_).parent_path() / next).string();
  }
  struct stat status = {};
  const bool exists = stat(target_.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) fail(EISDIR);
  open_temporary();
  if (exists) {
    take_after(target_, status, descriptor_);
  } else if (!like.empty() && stat(like.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
    take_after(like, status, descriptor_);
  }
}

void AtomicFile::open_temporary() {
#ifdef O_TMPFILE
  descriptor_ =
      uninterrupted([&] { return open(folder_of(target_).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666); });
  // It gets its name through /proc, which a container may not have.
  if (descriptor_ >= 0 && access(open_file_path(descriptor_).c_str(), F_OK) == 0) return;
  if (descriptor_ >= 0) close(std::exchange(descriptor_, -1));
#endif
  const auto take = [&](const std::string& name) {
    descriptor_ =
        uninterrupted([&] { return open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
    if (descriptor_ < 0) return false;
    // Between the two calls another writer may have taken it for abandoned.
    struct stat status = {};
    if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0 && fstat(descriptor_, &status) == 0 && status.st_nlink > 0)
      return true;
    close(std::exchange(descriptor_, -1));
    errno = EEXIST;
    return false;
  };
  temporary_ = free_name(target_, take);
  if (temporary_.empty()) fail(errno);
}

void AtomicFile::name_temporary() {
  if (!temporary_.empty()) return;
  flock(descriptor_, LOCK_EX | LOCK_NB);
  const std::string nameless = open_file_path(descriptor_);
  const auto take = [&](const std::string& name) {
    return uninterrupted([&] {
             return linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW);
           }) == 0;
  };
  temporary_ = free_name(target_, take);
  if (temporary_.empty()) fail(errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::check(const std::string& path) {
  if (discards) return;
  if (!is_written_in_place(path) || named_descriptor(path) >= 0) {
    const AtomicFile probe(path);
  } else if (access(path.c_str(), W_OK) != 0) {
    throw UserError(fmt::format("cannot write '{}': {}; {}", path, std::generic_category().message(errno),
                                advice(errno)));
  }
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
    const ssize_t written =
        uninterrupted([&] { return ::write(descriptor_, buffer_.data() + done, buffer_.size() - done); });
    if (written < 0 && errno == EPIPE && named_descriptor(path_) == STDOUT_FILENO) break;
    if (written < 0 && errno == EAGAIN) {
      pollfd room = {descriptor_, POLLOUT, 0};
      poll(&room, 1, -1);
      continue;
    }
    if (written <= 0) fail(written < 0 ? errno : EIO);
    done += static_cast<size_t>(written);
  }
  buffer_.clear();
}

void AtomicFile::commit() {
  require(descriptor_ >= 0, "AtomicFile::commit is called once");
  flush();
  // A terminal or pipe cannot be synced, and need not be.
  if (!in_place_ && uninterrupted([&] { return fsync(descriptor_); }) != 0) fail(errno);
  if (!in_place_) name_temporary();
  // The name is given up before the lock.
  if (!in_place_ && uninterrupted([&] { return std::rename(temporary_.c_str(), target_.c_str()); }) != 0)
    fail(errno);
  temporary_.clear();
  // Closed whatever close() says; an interrupted one is done, and what was replaced is synced.
  if (close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR && in_place_) fail(errno);
  if (in_place_) return;
  // The rename itself is durable only once the folder is synced; some file systems refuse that with EINVAL.
  const int folder =
      uninterrupted([&] { return open(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (folder < 0) return;
  const int status = uninterrupted([&] { return fsync(folder); });
  const int error_number = errno;
  close(folder);
  if (status != 0 && error_number != EINVAL) fail(error_number);
}

}  // namespace lariat
