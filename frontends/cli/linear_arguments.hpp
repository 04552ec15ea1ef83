#pragma once

#include <string>
#include <vector>

#include "autodiff/convex/solver.hpp"
#include "frontends/cli/arguments.hpp"
#include "frontends/cli/progress.hpp"
#include "frontends/linear/linear_problem.hpp"

namespace lariat::cli {

/// A line for each step of a method, or one line drawn again on a terminal.
class SolveProgress {
 public:
  explicit SolveProgress(bool quiet) : quiet_(quiet) {}
  void operator()(const convex::Progress& progress);
  void finish() { line_.clear(); }

 private:
  bool quiet_;
  LiveLine line_;
};

/// What `lariat solve` and `lariat path` are asked for.
struct LinearArguments {
  LinearProblem problem;
  std::string data, labels, weights, offset, penalty_factor, groups;
  Strings penalty_texts;
  std::vector<double> classes;
  std::string classes_text;
  bool quiet = false, zero_based = false, standardized = false;
  SolveOptions options;
  std::optional<int64_t> seed, threads, iterations, parts;

  void declare(Arguments& arguments);
  /// Reads the penalty, l1 where there is none. Throws UsageError where it cannot be read or no data are
  /// named.
  void check(const std::string& command);
  SolveOptions solve_options(int with_threads, SolveProgress& progress) const;
  /// The files that are read.
  Strings inputs() const { return {data, labels, weights, offset, penalty_factor, groups}; }
  /// Reads the data and checks that the loss takes the labels, which are then as LinearProblem has them.
  /// Columns without entries may be left out. Throws UserError.
  data::LabelledRows read();
  /// This rank's share of them, where ranks or --row-parts cut them into parts, which `options` and `problem`
  /// then know of; without, all.
  data::LabelledRows share(data::LabelledRows rows);
  /// The model of a solution, with what is noted of it.
  void save(const std::string& file, const Solution& solution, const data::LabelledRows& rows,
            std::map<std::string, std::string> notes) const;

  /// Rows of all ranks, and entries.
  int64_t all_rows = 0, all_entries = 0;
};

}  // namespace lariat::cli
