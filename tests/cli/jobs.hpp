#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/files.hpp"
#include "tests/support/program.hpp"

namespace lariat::testing {

/// A command that reads files below a folder and writes others into it.
struct Job {
  std::string name;
  std::vector<std::string> arguments, outputs;
  /// What may be changed without a run becoming long.
  std::vector<std::string> inputs = {};
  /// What goes on from a checkpoint that an earlier run left; empty where there is none.
  std::string checkpoint = {};
  /// The journal that an earlier run left, and that one goes on from by --resume alone; empty where there is
  /// none.
  std::string journal = {};

  bool goes_on() const { return !checkpoint.empty() || !journal.empty(); }
};

/// Commands that read and write files of every kind, and what they write where nothing is in their way.
class Jobs {
 public:
  Jobs();
  const std::vector<Job>& list() const { return list_; }

  /// Puts the outputs into the state before a run: earlier files, or none.
  void prepare(const Job& job, bool earlier) const;
  /// Runs a job in which something happens at a call (tests/cli/failing_io.cpp), or in no call for 0.
  ProgramRun run(const Job& job, int64_t at, const std::string& how,
                 const ProgramOptions& options = {}) const;
  /// The calls of a run.
  int64_t calls(const Job& job) const;
  /// The call in which it happened and its file, or "" where there was none.
  std::string happened() const;

  /// Why the outputs are not each an earlier file, a whole new one or none, or why there are others; "" where
  /// they are. With `done`, all must be new.
  std::string torn(const Job& job, bool done) const;
  /// The same where a killed run may have left a temporary file.
  std::string torn_by_kill(const Job& job) const;
  /// The same where inputs were changed, so that new files are of another content.
  std::string torn_with_other_inputs(const Job& job) const;
  /// Runs a job again where it was ended, from its checkpoint where it has one; "" where all is as it should
  /// be.
  std::string again(const Job& job) const;

 private:
  enum class Inputs { same, changed };
  std::string outcome(const Job& job, Inputs inputs, bool done, bool killed) const;

  TemporaryFolder folder_;
  std::string said_;
  std::vector<Job> list_;
  std::map<std::string, std::string> expected_;  // by output, what tells one from another
};

}  // namespace lariat::testing
