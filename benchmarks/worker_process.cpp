#include "benchmarks/worker_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

#include "benchmarks/cases.hpp"
#include "graph/base/error.hpp"

extern char** environ;

namespace lariat::benchmarks {

namespace {

std::vector<std::string> environment(int threads, bool passive) {
  std::vector<std::string> result{fmt::format("OMP_NUM_THREADS={}", threads),
                                  fmt::format("OPENBLAS_NUM_THREADS={}", threads)};
  if (passive) result.push_back("OMP_WAIT_POLICY=passive");
  // The others choose their kernels by other names.
  const char* set = std::getenv("LARIAT_INSTRUCTION_SET");
  if (set && std::string_view(set) == "avx2")
    for (const char* variable : {"OPENBLAS_CORETYPE=Haswell", "ONEDNN_MAX_CPU_ISA=AVX2",
                                 "DNNL_MAX_CPU_ISA=AVX2", "ATEN_CPU_CAPABILITY=avx2"})
      result.push_back(variable);
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    if (!text.starts_with("OPENBLAS_") && !text.starts_with("OMP_")) result.push_back(text);
  }
  return result;
}

// Of a case; of the least program there are none.
std::string numbers_of(const std::string& what) {
  const auto found = std::ranges::find(cases(), what, &Case::name);
  return found == cases().end() ? "" : json_of(*found);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

WorkerProcess::WorkerProcess(const std::string& program, const std::string& what, int threads,
                             const std::string& setting)
    : title_(fmt::format("{} {} {} '{}'", program, what, threads, setting)) {
  std::signal(SIGPIPE, SIG_IGN);
  int to[2], from[2];
  // Closed in other workers: one that holds an end of this pipe would keep this worker waiting.
  if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
    throw JobError("cannot make a pipe to a worker");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
  std::vector<std::string> arguments{program, what, std::to_string(threads), setting, numbers_of(what)};
  std::vector<std::string> variables = environment(threads, waits_passively(setting));
  const int failure = posix_spawn(&process_, program.c_str(), &actions, nullptr, pointers(arguments).data(),
                                  pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  close(to[0]);
  close(from[1]);
  to_ = to[1];
  from_ = from[0];
  if (failure != 0)
    throw JobError(fmt::format("cannot run {}: {}", program, std::generic_category().message(failure)));
  version_ = read_answer();
}

WorkerProcess::~WorkerProcess() {
  close(to_);
  close(from_);
  waitpid(process_, nullptr, 0);
}

std::vector<double> WorkerProcess::ask(const std::string& command) {
  const std::string line = command + "\n";
  if (write(to_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    throw JobError(fmt::format("the worker {} has ended", title_));
  std::istringstream words(read_answer());
  std::vector<double> numbers;
  for (double number = 0; words >> number;) numbers.push_back(number);
  return numbers;
}

double WorkerProcess::peak_megabytes() const {
  std::ifstream file(fmt::format("/proc/{}/status", process_));
  for (std::string word; file >> word;)
    if (double kilobytes = 0; word == "VmHWM:" && file >> kilobytes) return kilobytes / 1024;
  return 0;
}

// What stands after "ok".
std::string WorkerProcess::read_answer() {
  size_t end = 0;
  while ((end = buffer_.find('\n')) == std::string::npos) {
    char part[4096];
    const ssize_t count = read(from_, part, sizeof part);
    if (count <= 0) throw JobError(fmt::format("the worker {} ended without an answer", title_));
    buffer_.append(part, static_cast<size_t>(count));
  }
  const std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  if (!line.starts_with("ok")) throw JobError(fmt::format("the worker {}: {}", title_, line));
  return line.substr(std::min<size_t>(3, line.size()));
}

}  // namespace lariat::benchmarks
