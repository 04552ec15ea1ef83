#include "graph/io/atomic_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "graph/base/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::atomic_file_test {

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
    CHECK(folder.entries() <= 2);  // the temporary file may have no name
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

TEST_CASE("atomic file: a new file has the permissions of the one that it is like, if there is one") {
  const TemporaryFolder folder;
  const auto mode_of = [&](const std::string& file) {
    struct stat status = {};
    REQUIRE(stat(file.c_str(), &status) == 0);
    return status.st_mode & 0777;
  };
  const auto write_like = [&](const char* like) {
    AtomicFile file(folder / "new.txt", folder / like);
    file.write("text");
    file.commit();
  };
  const mode_t before = umask(022);
  write_like("none.txt");
  CHECK(mode_of(folder / "new.txt") == 0644);
  write_whole(folder / "a.txt", "text");
  fs::permissions(folder / "a.txt", fs::perms(0640));
  write_like("a.txt");
  CHECK(mode_of(folder / "new.txt") == 0644);  // it keeps its own
  fs::remove(folder / "new.txt");
  write_like("a.txt");
  CHECK(mode_of(folder / "new.txt") == 0640);
  umask(before);
}

TEST_CASE("atomic file: a file keeps its owner and its access list when it is replaced") {
  const TemporaryFolder folder;
  write_whole(folder / "a.txt", "text");
  if (chown((folder / "a.txt").c_str(), 12345, 23456) != 0)
    return lariat::testing::skip("only root gives files away");
  fs::permissions(folder / "a.txt", fs::perms(04750));
  write_whole(folder / "a.txt", "other");
  struct stat status = {};
  REQUIRE(stat((folder / "a.txt").c_str(), &status) == 0);
  CHECK(status.st_uid == 12345);
  CHECK(status.st_gid == 23456);
  CHECK((status.st_mode & 07777) == 04750);
}

TEST_CASE(
    "atomic file: what a killed save left is cleared away by the next one, what a running one needs is not") {
  const TemporaryFolder folder;
  const std::string file = folder / "a.txt", abandoned = file + ".tmp-1";
  lariat::testing::write_file(abandoned, "half");
  write_whole(file, "whole");
  CHECK(read_file(file) == "whole");
  CHECK(folder.entries() == 1);
  // As a save that is about to rename it holds it.
  lariat::testing::write_file(abandoned, "busy");
  const int busy = open(abandoned.c_str(), O_RDONLY);
  REQUIRE(flock(busy, LOCK_EX) == 0);
  write_whole(file, "more");
  CHECK(read_file(file) == "more");
  CHECK(read_file(abandoned) == "busy");
  close(busy);
  write_whole(file, "end");
  CHECK(folder.entries() == 1);
}

TEST_CASE("atomic file: many saves of one file at once leave one of them, and nothing else") {
  const TemporaryFolder folder;
  const std::string file = folder / "a.txt";
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 8; ++writer)
    writers.emplace_back([&, writer] {
      for (int i = 0; i < 20; ++i) write_whole(file, std::string(100000, static_cast<char>('a' + writer)));
    });
  for (std::thread& writer : writers) writer.join();
  const std::string left = read_file(file);
  CHECK(left.size() == 100000);
  CHECK(std::count(left.begin(), left.end(), left[0]) == 100000);
  CHECK(folder.entries() == 1);
}

TEST_CASE("atomic file: a pipe and an open descriptor are written in place, and never replaced") {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  AtomicFile::check(pipe);  // does not wait for a reader
  std::string heard;
  std::thread reader([&] { heard = read_file(pipe); });
  write_whole(pipe, std::string(300000, 'x'));
  reader.join();
  CHECK(heard == std::string(300000, 'x'));
  CHECK(fs::is_fifo(pipe));

  const std::string file = folder / "a.txt";
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT, 0600);
  const std::string named = "/dev/fd/" + std::to_string(descriptor);
  REQUIRE(::write(descriptor, "before ", 7) == 7);
  CHECK(lariat::is_written_in_place(named));
  write_whole(named, "and after");
  CHECK(read_file(file) == "before and after");
  struct stat mine = {}, there = {};
  fstat(descriptor, &mine);
  stat(file.c_str(), &there);
  CHECK(mine.st_ino == there.st_ino);
  close(descriptor);
  CHECK(message_of<UserError>([&] { AtomicFile::check(named); }) ==
        "cannot write '" + named + "': Bad file descriptor; choose another place with --out");
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

}  // namespace lariat::atomic_file_test
