#include "benchmarks/worker_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "benchmarks/cases.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

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

// Two ends that children do not keep: one that held an end of another worker's would keep that one waiting.
struct Ends {
  int first = -1, second = -1;
};
Ends make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw JobError("cannot make a pipe to a worker");
  return {ends[0], ends[1]};
}

// Starts a program with these as standard input and output.
int spawn(std::vector<std::string> arguments, int input, int output, int threads, bool passive) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  std::vector<std::string> variables = environment(threads, passive);
  int process = -1;
  const int failure = posix_spawn(&process, arguments[0].c_str(), &actions, nullptr,
                                  pointers(arguments).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0)
    throw JobError(fmt::format("cannot run {}: {}", arguments[0], std::generic_category().message(failure)));
  return process;
}

}  // namespace

Forker::Forker(const std::string& program, int threads, bool passive) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    throw JobError("cannot make a socket to a worker");
  const Ends said = make_pipe();
  socket_ = ends[0];
  said_ = said.first;
  process_ = spawn({program, "fork"}, ends[1], said.second, threads, passive);
  close(ends[1]);
  close(said.second);
}

Forker::~Forker() {
  close(socket_);
  close(said_);
  waitpid(process_, nullptr, 0);
}

void Forker::send(const std::string& request, int read_from, int write_to) const {
  const int ends[] = {read_from, write_to};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof ends)] = {};
  iovec text{const_cast<char*>(request.data()), request.size()};
  msghdr message{};
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof ends);
  std::memcpy(CMSG_DATA(header), ends, sizeof ends);
  if (sendmsg(socket_, &message, MSG_NOSIGNAL) < 0) throw JobError(last_words());
}

std::string Forker::last_words() const {
  char part[4096];
  const ssize_t count = read(said_, part, sizeof part);
  std::string words(part, std::max<ssize_t>(count, 0));
  while (words.ends_with('\n')) words.pop_back();
  words.erase(0, words.rfind('\n') + 1);
  if (words.starts_with("error ")) words.erase(0, 6);
  return words.empty() ? "it ended without a word" : words;
}

Forker& Forkers::with(int threads, bool passive) {
  std::unique_ptr<Forker>& forker = made_[{threads, passive}];
  if (!forker) forker = std::make_unique<Forker>(program_, threads, passive);
  return *forker;
}

WorkerProcess::WorkerProcess(const std::string& program, const std::string& what, int threads,
                             const std::string& setting, Forkers* forkers)
    : title_(fmt::format("{} {} {} '{}'", program, what, threads, setting)) {
  std::signal(SIGPIPE, SIG_IGN);
  const bool passive = waits_passively(setting);
  if (forkers) forker_ = &forkers->with(threads, passive);
  const Ends to = make_pipe(), from = make_pipe();
  to_ = to.second;
  from_ = from.first;
  std::vector<std::string> arguments{what, std::to_string(threads), setting, numbers_of(what)};
  if (forker_) {
    forker_->send(Json(arguments).dump(), to.first, from.second);
  } else {
    arguments.insert(arguments.begin(), program);
    process_ = spawn(std::move(arguments), to.first, from.second, threads, passive);
  }
  close(to.first);
  close(from.second);
}

WorkerProcess::~WorkerProcess() {
  close(to_);
  close(from_);
  if (!forker_) waitpid(process_, nullptr, 0);
}

const std::string& WorkerProcess::version() {
  if (!std::exchange(ready_, true)) {
    if (forker_) process_ = std::stoi(read_answer());
    version_ = read_answer();
  }
  return version_;
}

void WorkerProcess::send(const std::string& command) {
  const std::string line = command + "\n";
  // One that has ended may have said why: that is read next.
  if (write(to_, line.data(), line.size()) != static_cast<ssize_t>(line.size()) && ready_)
    throw JobError(fmt::format("the worker {} has ended", title_));
}

std::vector<double> WorkerProcess::receive() {
  version();
  std::istringstream words(read_answer());
  std::vector<double> numbers;
  for (double number = 0; words >> number;) numbers.push_back(number);
  return numbers;
}

std::vector<double> WorkerProcess::ask(const std::string& command) {
  send(command);
  return receive();
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
    if (count <= 0)
      throw JobError(forker_ && process_ < 0 ? forker_->last_words()
                                             : fmt::format("the worker {} ended without an answer", title_));
    buffer_.append(part, static_cast<size_t>(count));
  }
  const std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  if (!line.starts_with("ok"))
    throw JobError(line.starts_with("error ") ? line.substr(6) : fmt::format("{}: {}", title_, line));
  return line.substr(std::min<size_t>(3, line.size()));
}

}  // namespace lariat::benchmarks
