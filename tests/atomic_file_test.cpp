#include "graph/atomic_file.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "graph/error.hpp"
#include "tests/testing.hpp"

namespace fs = std::filesystem;
using lariat::AtomicFile;
using lariat::UserError;
using lariat::testing::message_of;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("lariat_atomic_file_test_" + std::to_string(getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string file(const char* name) const { return (path / name).string(); }
  size_t entries() const { return std::distance(fs::directory_iterator(path), fs::directory_iterator()); }
};

std::string content_of(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_whole(const std::string& file, const std::string& text) {
  AtomicFile out(file);
  out.write(text);
  out.commit();
}

// Limits how large a file this process may write, as a full disk would, for one scope.
struct FileSizeLimit {
  rlimit before = {};
  void (*handler)(int) = std::signal(SIGXFSZ, SIG_IGN);
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit limit = {bytes, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
  }
};

}  // namespace

TEST_CASE("atomic file: nothing is visible before commit, everything after it") {
  const Folder folder;
  const std::string file = folder.file("a.txt"), large(300000, 'x');
  write_whole(file, "old");
  {
    AtomicFile out(file);
    out.write(large);
    CHECK(content_of(file) == "old");
    out.write("end");
    out.commit();
  }
  CHECK(content_of(file) == large + "end");
  CHECK(folder.entries() == 1);
}

TEST_CASE("atomic file: without commit the old file stays and the temporary goes") {
  const Folder folder;
  const std::string file = folder.file("a.txt");
  write_whole(file, "old");
  {
    AtomicFile out(file);
    out.write(std::string(200000, 'x'));
    CHECK(folder.entries() == 2);
  }
  CHECK(content_of(file) == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("atomic file: the new file has the permissions of any new file") {
  const Folder folder;
  const mode_t before = umask(022);
  write_whole(folder.file("a.txt"), "text");
  umask(before);
  struct stat status = {};
  REQUIRE(stat(folder.file("a.txt").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0644);
}

TEST_CASE("atomic file: a symbolic link keeps pointing at the file that is replaced") {
  const Folder folder;
  write_whole(folder.file("real.txt"), "old");
  fs::create_symlink("real.txt", folder.path / "link.txt");
  write_whole(folder.file("link.txt"), "new");
  CHECK(fs::is_symlink(folder.path / "link.txt"));
  CHECK(content_of(folder.file("real.txt")) == "new");
}

TEST_CASE("atomic file: a full disk is reported, the old file kept and the temporary removed") {
  const Folder folder;
  const std::string file = folder.file("a.txt");
  write_whole(file, "old");
  std::string message;
  {
    const FileSizeLimit limit(1000);
    message = message_of<UserError>([&] { write_whole(file, std::string(5000, 'x')); });
  }
  CHECK(message ==
        "cannot write '" + file + "': File too large; free some space or choose another place with --out");
  CHECK(content_of(file) == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("atomic file: a device is written in place and its errors are reported") {
  if (!fs::exists("/dev/full")) return lariat::testing::skip("there is no /dev/full");
  CHECK(message_of<UserError>([] { write_whole("/dev/full", "x"); }) ==
        "cannot write '/dev/full': No space left on device; free some space or choose another place with "
        "--out");
  CHECK(fs::is_character_file("/dev/full"));
  write_whole("/dev/null", "x");
  CHECK(fs::is_character_file("/dev/null"));
}

TEST_CASE("atomic file: a missing folder and a folder in the file's place") {
  const Folder folder;
  const std::string missing = folder.file("none/a.txt"), itself = folder.path.string();
  CHECK(message_of<UserError>([&] { AtomicFile out(missing); }) ==
        "cannot write '" + missing +
            "': No such file or directory; create its folder first or choose another place with --out");
  CHECK(message_of<UserError>([&] { AtomicFile out(itself); }) ==
        "cannot write '" + itself + "': Is a directory; choose another place with --out");
}
