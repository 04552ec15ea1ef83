#pragma once

#include <string>
#include <vector>

namespace lariat::benchmarks {

/// A worker (see worker.hpp) as a child of this process, started without the environment's settings for
/// OpenBLAS and OpenMP, and with as many threads as it is asked for. Where LARIAT_INSTRUCTION_SET is avx2, it
/// is told to use no wider registers, whoever's it is.
class WorkerProcess {
 public:
  /// Throws JobError where the worker cannot be started or says that it cannot run the case.
  WorkerProcess(const std::string& program, const std::string& what, int threads, const std::string& setting);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  const std::string& version() const { return version_; }
  /// Sends a command and reads the numbers it is answered with.
  std::vector<double> ask(const std::string& command);
  /// The most memory that the worker has had resident, in megabytes of 2^20 bytes.
  double peak_megabytes() const;

 private:
  std::string read_answer();

  const std::string title_;
  int process_ = -1, to_ = -1, from_ = -1;
  std::string version_, buffer_;
};

}  // namespace lariat::benchmarks
