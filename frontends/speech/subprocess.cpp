#include "frontends/speech/subprocess.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "graph/base/error.hpp"
#include "graph/io/system_call.hpp"

extern char** environ;

namespace lariat::speech {

Ran run_program(const std::vector<std::string>& command, const std::string& advice) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  // Memory that looks like a file: nothing is left behind, whatever ends this process.
  const int output = memfd_create("output", MFD_CLOEXEC);
  if (output < 0)
    throw UserError(
        fmt::format("cannot run '{}': {}; {}", command[0], std::generic_category().message(errno), advice));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failure = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) {
    close(output);
    throw UserError(
        fmt::format("cannot run '{}': {}; {}", command[0], std::generic_category().message(failure), advice));
  }
  int status = 0;
  uninterrupted([&] { return waitpid(child, &status, 0); });
  Ran ran{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), {}};
  ran.output.resize(static_cast<size_t>(lseek(output, 0, SEEK_END)));
  const ssize_t count = pread(output, ran.output.data(), ran.output.size(), 0);
  close(output);
  require(count == static_cast<ssize_t>(ran.output.size()), "what a program wrote can be read");
  return ran;
}

}  // namespace lariat::speech
