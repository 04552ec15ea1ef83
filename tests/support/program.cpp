#include "tests/support/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include "tests/support/testing.hpp"

extern char** environ;

namespace lariat::testing {

namespace fs = std::filesystem;

namespace {

constexpr auto time_limit = std::chrono::minutes(2);

void read_available(int descriptor, std::string& text) {
  char block[4096];
  for (ssize_t count = 0; (count = read(descriptor, block, sizeof block)) > 0;)
    text.append(block, static_cast<size_t>(count));
}

// Never returns. Only async-signal-safe calls: the parent may have threads.
[[noreturn]] void become(char** words, char** environment, int out, int err, uint64_t largest_file) {
  if (largest_file != 0) {
    const rlimit limit{largest_file, largest_file};
    setrlimit(RLIMIT_FSIZE, &limit);
    // Without a handler the signal would end the child; a full disk only fails the call.
    signal(SIGXFSZ, SIG_IGN);
  }
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int in = open("/dev/null", O_RDONLY);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execve(words[0], words, environment);
  _exit(127);
}

}  // namespace

bool have_lariat() {
  if (std::getenv("LARIAT_PROGRAM") != nullptr) return true;
  skip("LARIAT_PROGRAM does not name the program; ./run test sets it");
  return false;
}

ProgramRun run_lariat(const std::vector<std::string>& arguments, const ProgramOptions& options) {
  std::vector<std::string> words{options.program.empty() ? std::getenv("LARIAT_PROGRAM") : options.program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string entry = *variable;
    if (!options.environment.contains(entry.substr(0, entry.find('=')))) variables.push_back(entry);
  }
  for (const auto& [name, value] : options.environment) variables.push_back(name + "=" + value);
  const auto pointers = [](std::vector<std::string>& strings) {
    std::vector<char*> result;
    for (std::string& text : strings) result.push_back(text.data());
    result.push_back(nullptr);
    return result;
  };
  std::vector<char*> argv = pointers(words), envp = pointers(variables);

  int out[2], err[2];
  REQUIRE(pipe2(out, O_CLOEXEC) == 0);
  if (options.terminal_columns > 0) {
    winsize size = {};
    size.ws_row = 24;
    size.ws_col = static_cast<unsigned short>(options.terminal_columns);
    REQUIRE(openpty(&err[0], &err[1], nullptr, nullptr, &size) == 0);
    fcntl(err[0], F_SETFD, FD_CLOEXEC);
    fcntl(err[1], F_SETFD, FD_CLOEXEC);
  } else {
    REQUIRE(pipe2(err, O_CLOEXEC) == 0);
  }
  // A signal for the child must not meet the handlers of this process.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = fork();
  if (child == 0) become(argv.data(), envp.data(), out[1], err[1], options.largest_file);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  REQUIRE(child >= 0);
  close(out[1]);
  close(err[1]);
  fcntl(out[0], F_SETFL, O_NONBLOCK);
  fcntl(err[0], F_SETFL, O_NONBLOCK);

  ProgramRun run;
  bool interrupted = false, signalled = options.signal == 0;
  int status = 0;
  const auto start = std::chrono::steady_clock::now();
  while (waitpid(child, &status, WNOHANG) == 0) {
    pollfd ready[2] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
    poll(ready, 2, signalled ? 20 : 0);
    if (!signalled && std::chrono::steady_clock::now() - start >= options.signal_after) {
      signalled = true;
      kill(child, options.signal);
    }
    // A pipe whose writers are gone is always ready.
    if (((ready[0].revents | ready[1].revents) & POLLIN) == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    read_available(out[0], run.out);
    read_available(err[0], run.err);
    if (!interrupted && !options.interrupt_after.empty() &&
        run.err.find(options.interrupt_after) != std::string::npos) {
      interrupted = true;
      kill(child, SIGINT);
    }
    if (std::chrono::steady_clock::now() - start > time_limit) kill(child, SIGKILL);
  }
  read_available(out[0], run.out);
  read_available(err[0], run.err);
  close(out[0]);
  close(err[0]);
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

}  // namespace lariat::testing
