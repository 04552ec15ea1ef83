#include "ops/plugin/child_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>

namespace lariat {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* last_line = "\x04";

std::string ending(int status) {
  if (WIFSIGNALED(status)) {
    const char* what = strsignal(WTERMSIG(status));
    return fmt::format("ended the process by signal {} ({})", WTERMSIG(status), what ? what : "unknown");
  }
  return fmt::format("ended the process with exit status {}", WEXITSTATUS(status));
}

void be_silent() {
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nowhere >= 0)
    for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) dup2(nowhere, descriptor);
  for (int signal = 1; signal < NSIG; ++signal) std::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void be_child(const std::function<void(const ChildLines&)>& work, const ChildOptions& options,
                           int descriptor) {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (options.is_silent) be_silent();
  const ChildLines lines(descriptor);
  work(lines);
  lines.send(last_line);
  _exit(0);
}

}  // namespace

void ChildLines::send(const std::string& line) const {
  const std::string text = line + "\n";
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t count = write(descriptor_, text.data() + sent, text.size() - sent);
    if (count < 0 && errno != EINTR) _exit(125);
    if (count > 0) sent += static_cast<size_t>(count);
  }
}

ChildEnd run_in_child(const std::function<void(const ChildLines&)>& work, const ChildOptions& options,
                      const std::function<void(const std::string&)>& receive) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    be_child(work, options, ends[1]);
  }
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return {};
  }
  std::string received, failure;
  bool done = false;
  auto heard = Clock::now();
  while (!done) {
    const auto left = std::chrono::seconds(options.seconds) - (Clock::now() - heard);
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
    if (wait <= 0) {
      failure = fmt::format("did not end within {} s", options.seconds);
      break;
    }
    pollfd ready{ends[0], POLLIN, 0};
    poll(&ready, 1, static_cast<int>(std::min<int64_t>(wait, 1000)));
    if ((ready.revents & (POLLIN | POLLHUP)) == 0) continue;
    char block[4096];
    const ssize_t count = read(ends[0], block, sizeof block);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    heard = Clock::now();
    received.append(block, static_cast<size_t>(count));
    for (size_t end; (end = received.find('\n')) != std::string::npos; received.erase(0, end + 1)) {
      const std::string line = received.substr(0, end);
      done |= line == last_line;
      if (line != last_line) receive(line);
    }
  }
  close(ends[0]);
  if (!failure.empty()) kill(child, SIGKILL);
  // Nobody can be waited for where the program ignores SIGCHLD.
  std::optional<int> status = 0;
  while (waitpid(child, &*status, 0) < 0)
    if (errno != EINTR) {
      status.reset();
      break;
    }
  if (failure.empty() && !done) failure = status ? ending(*status) : "ended the process";
  return {true, failure};
}

}  // namespace lariat
