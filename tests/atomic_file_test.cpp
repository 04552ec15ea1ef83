#include "graph/atomic_file.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <string>

#include "graph/error.hpp"
#include "tests/files.hpp"
#include "tests/testing.hpp"

namespace fs = std::filesystem;
using lariat::AtomicFile;
using lariat::UserError;
using lariat::testing::message_of;
using lariat::testing::read_file;
using lariat::testing::TemporaryFolder;

namespace {

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
  const TemporaryFolder folder;
  const std::string file = folder / "a.txt", large(300000, 'x');
  write_whole(file, "old");
  {
    AtomicFile out(file);
    out.write(large);
    CHECK(read_file(file) == "old");
    out.write("end");
    out.commit();
  }
  CHECK(read_file(file) == large + "end");
  CHECK(folder.entries() == 1);
}

TEST_CASE("atomic file: without commit the old file stays and the temporary goes") {
  const TemporaryFolder folder;
  const std::string file = folder / "a.txt";
  write_whole(file, "old");
  {
    AtomicFile out(file);
    out.write(std::string(200000, 'x'));
    CHECK(folder.entries() == 2);
  }
  CHECK(read_file(file) == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("atomic file: a file has the permissions of any new file, and keeps them when it is replaced") {
  const TemporaryFolder folder;
  const mode_t before = umask(022);
  write_whole(folder / "a.txt", "text");
  umask(before);
  struct stat status = {};
  REQUIRE(stat((folder / "a.txt").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0644);
  fs::permissions(folder / "a.txt", fs::perms(0600));
  write_whole(folder / "a.txt", "secret");
  REQUIRE(stat((folder / "a.txt").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("atomic file: a symbolic link keeps pointing at the file that is replaced") {
  const TemporaryFolder folder;
  write_whole(folder / "real.txt", "old");
  fs::create_symlink("real.txt", folder.path() / "link.txt");
  write_whole(folder / "link.txt", "new");
  CHECK(fs::is_symlink(folder.path() / "link.txt"));
  CHECK(read_file(folder / "real.txt") == "new");
  fs::create_symlink("later.txt", folder.path() / "early.txt");
  write_whole(folder / "early.txt", "first");
  CHECK(fs::is_symlink(folder.path() / "early.txt"));
  CHECK(read_file(folder / "later.txt") == "first");
  fs::create_symlink("round.txt", folder.path() / "round.txt");
  CHECK(message_of<UserError>([&] { write_whole(folder / "round.txt", "x"); }).find("oo many") !=
        std::string::npos);
}

TEST_CASE("atomic file: a full disk is reported, the old file kept and the temporary removed") {
  const TemporaryFolder folder;
  const std::string file = folder / "a.txt";
  write_whole(file, "old");
  std::string message;
  {
    const FileSizeLimit limit(1000);
    message = message_of<UserError>([&] { write_whole(file, std::string(5000, 'x')); });
  }
  CHECK(message ==
        "cannot write '" + file + "': File too large; free some space or choose another place with --out");
  CHECK(read_file(file) == "old");
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
  const TemporaryFolder folder;
  const std::string missing = folder / "none/a.txt", itself = folder.text();
  CHECK(message_of<UserError>([&] { AtomicFile out(missing); }) ==
        "cannot write '" + missing +
            "': No such file or directory; create its folder first or choose another place with --out");
  CHECK(message_of<UserError>([&] { AtomicFile out(itself); }) ==
        "cannot write '" + itself + "': Is a directory; choose another place with --out");
}
