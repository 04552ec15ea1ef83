#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace lariat::benchmarks {

/// A process that has loaded a library and makes workers by forking: see worker.py. It ends with this object.
class Forker {
 public:
  /// Starts `program fork`, as a worker with so many threads would be; does not wait for it.
  Forker(const std::string& program, int threads, bool passive);
  Forker(const Forker&) = delete;
  Forker& operator=(const Forker&) = delete;
  ~Forker();

  /// Asks for a worker that reads commands from one pipe and answers into another.
  void send(const std::string& request, int read_from, int write_to) const;
  /// The last line of what it printed, for where it ended: why.
  std::string last_words() const;

 private:
  int process_ = -1, socket_ = -1, said_ = -1;
};

/// A program's forkers, by threads and whether they wait passively; made when first asked for.
class Forkers {
 public:
  explicit Forkers(std::string program) : program_(std::move(program)) {}
  Forker& with(int threads, bool passive);

 private:
  const std::string program_;
  std::map<std::pair<int, bool>, std::unique_ptr<Forker>> made_;
};

/// A worker (see worker.hpp) as a child of this process, started without the environment's settings for
/// OpenBLAS and OpenMP, and with as many threads as it is asked for. Where LARIAT_INSTRUCTION_SET is avx2, it
/// is told to use no wider registers, whoever's it is.
class WorkerProcess {
 public:
  /// Starts `program`, or has one of its forkers start it, and does not wait until it is ready. Throws
  /// JobError where it cannot be started.
  WorkerProcess(const std::string& program, const std::string& what, int threads, const std::string& setting,
                Forkers* forkers = nullptr);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  /// Of the side, once it is ready. Throws JobError where the worker says that it cannot run the case.
  const std::string& version();
  /// Sends a command; the numbers that it is answered with.
  void send(const std::string& command);
  std::vector<double> receive();
  std::vector<double> ask(const std::string& command);
  /// The most memory that the worker has had resident, in megabytes of 2^20 bytes.
  double peak_megabytes() const;

 private:
  std::string read_answer();

  const std::string title_;
  const Forker* forker_ = nullptr;
  int process_ = -1, to_ = -1, from_ = -1;
  bool ready_ = false;
  std::string version_, buffer_;
};

}  // namespace lariat::benchmarks
