// Preloaded into the program. Of its calls that open, read, write, sync, name or close what lies below the
// folder LARIAT_IO_BELOW, something happens at the one whose number LARIAT_IO_AT gives: LARIAT_IO_HOW is an
// error number that the call fails with; "short", where it moves a byte only; or "kill", "signal" or "after"
// and a number: that signal before the call, or SIGKILL after it. What it was is then written to the file
// LARIAT_IO_SAID.

// Here open() and open64() are two functions.
#undef _FILE_OFFSET_BITS

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

const char* setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// What happens at a call.
enum class Fault { none, error, short_count, killed };

struct Settings {
  const char* const below = setting("LARIAT_IO_BELOW");
  const long at = std::atol(setting("LARIAT_IO_AT"));
  const char* const how = setting("LARIAT_IO_HOW");
  const char* const said = setting("LARIAT_IO_SAID");
  bool how_is(const char* word) const { return std::strncmp(how, word, std::strlen(word)) == 0; }
};

const Settings& settings() {
  static const Settings instance;
  return instance;
}

std::atomic<long> calls{0};

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

void say(const char* call, const char* path) {
  const int file =
      next<int(const char*, int, ...)>("open")(settings().said, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  char line[4200];
  const int size = std::snprintf(line, sizeof line, "%s %s\n", call, path);
  [[maybe_unused]] const ssize_t written =
      next<decltype(write)>("write")(file, line, static_cast<size_t>(size));
  next<decltype(close)>("close")(file);
}

Fault fault_at(const char* call, const char* path) {
  const Settings& s = settings();
  if (s.at == 0 || std::strncmp(path, s.below, std::strlen(s.below)) != 0 || ++calls != s.at)
    return Fault::none;
  say(call, path);
  if (s.how_is("short")) return Fault::short_count;
  if (s.how_is("killed")) return Fault::killed;
  if (s.how_is("signal")) {
    raise(std::atoi(s.how + std::strlen("signal")));
    return Fault::none;
  }
  errno = std::atoi(s.how);
  return Fault::error;
}

Fault fault_at(const char* call, int descriptor) {
  char name[64], path[4096] = {};
  std::snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
  if (settings().at == 0 || readlink(name, path, sizeof path - 1) < 0) return Fault::none;
  return fault_at(call, path);
}

__attribute__((destructor)) void count() {
  if (settings().at == -1) say(std::to_string(calls).c_str(), "calls");
}

template <class Result, class Call>
Result done(Fault fault, Result failed, Call&& call) {
  if (fault == Fault::error) return failed;
  const Result result = call();
  if (fault == Fault::killed) raise(SIGKILL);
  return result;
}

template <class Place, class Call>
int called(const char* name, const Place& place, Call&& call) {
  return done(fault_at(name, place), -1, call);
}

// A transfer of `count` bytes, which may be cut short.
template <class Call>
ssize_t moved(const char* name, int descriptor, size_t count, Call&& call) {
  const Fault fault = fault_at(name, descriptor);
  return done(fault, ssize_t{-1}, [&] { return call(fault == Fault::short_count && count > 1 ? 1 : count); });
}

mode_t mode_of(int flags, va_list rest) {
  return flags & (O_CREAT | O_TMPFILE) ? static_cast<mode_t>(va_arg(rest, int)) : 0;
}

}  // namespace

extern "C" {

#define OPEN(name)                                                                                          \
  int name(const char* path, int flags, ...) {                                                              \
    va_list rest;                                                                                           \
    va_start(rest, flags);                                                                                  \
    const mode_t mode = mode_of(flags, rest);                                                               \
    va_end(rest);                                                                                           \
    return called(#name, path, [&] { return next<int(const char*, int, ...)>(#name)(path, flags, mode); }); \
  }
OPEN(open)
OPEN(open64)

#define FOPEN(name)                                                                        \
  FILE* name(const char* path, const char* mode) {                                         \
    return done(fault_at(#name, path), static_cast<FILE*>(nullptr),                        \
                [&] { return next<FILE*(const char*, const char*)>(#name)(path, mode); }); \
  }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t read(int file, void* data, size_t count) {
  return moved("read", file, count,
               [&](size_t most) { return next<ssize_t(int, void*, size_t)>("read")(file, data, most); });
}
ssize_t write(int file, const void* data, size_t count) {
  return moved("write", file, count, [&](size_t most) {
    return next<ssize_t(int, const void*, size_t)>("write")(file, data, most);
  });
}
ssize_t writev(int file, const iovec* parts, int count) {
  return done(fault_at("writev", file), ssize_t{-1},
              [&] { return next<ssize_t(int, const iovec*, int)>("writev")(file, parts, count); });
}
int fsync(int file) {
  return called("fsync", file, [&] { return next<int(int)>("fsync")(file); });
}
int close(int file) {
  const Fault fault = fault_at("close", file);
  const int error_number = errno, result = next<int(int)>("close")(file);
  if (fault == Fault::killed) raise(SIGKILL);
  if (fault == Fault::error) errno = error_number;
  return fault == Fault::error ? -1 : result;
}
int rename(const char* from, const char* to) {
  return called("rename", to, [&] { return next<int(const char*, const char*)>("rename")(from, to); });
}
int link(const char* from, const char* to) {
  return called("link", to, [&] { return next<int(const char*, const char*)>("link")(from, to); });
}
int linkat(int from, const char* source, int to, const char* target, int flags) {
  return called("linkat", target, [&] {
    return next<int(int, const char*, int, const char*, int)>("linkat")(from, source, to, target, flags);
  });
}
int unlink(const char* path) {
  return called("unlink", path, [&] { return next<int(const char*)>("unlink")(path); });
}
DIR* opendir(const char* path) {
  return done(fault_at("opendir", path), static_cast<DIR*>(nullptr),
              [&] { return next<DIR*(const char*)>("opendir")(path); });
}
int mkdir(const char* path, mode_t mode) {
  return called("mkdir", path, [&] { return next<int(const char*, mode_t)>("mkdir")(path, mode); });
}
}
