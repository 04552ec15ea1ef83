#pragma once

#include <string>
#include <vector>

#include "autodiff/convex/solver.hpp"
#include "frontends/cli/arguments.hpp"
#include "frontends/cli/progress.hpp"
#include "frontends/linear/linear_problem.hpp"
#include "graph/ranks/ranks.hpp"

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

/// A number for each of `count` rows or columns that a flag's file holds, from 0 on where they may not be
/// below it; none without a file. Throws UserError naming the flag.
std::vector<double> numbers_for(const std::string& flag, const std::string& file, int64_t count,
                                const std::string& what, bool negative);
/// The same of rows: how much each counts.
std::vector<double> row_weights(const std::string& file, int64_t rows);

/// What `lariat solve` and `lariat path` are asked for.
struct LinearArguments {
  LinearProblem problem;
  std::string data, labels, weights, offset, penalty_factor, groups;
  Strings penalty_texts;
  std::vector<double> classes;
  std::string classes_text;
  std::optional<double> delta;
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
  /// Columns without entries may be left out. Where `shares`, and ranks or --row-parts cut the rows into
  /// parts, it reads this rank's, and `options` and `problem` know of the others. Throws UserError.
  data::LabelledRows read(bool shares);
  /// The model of a solution, with what is noted of it.
  void save(const std::string& file, const Solution& solution, const data::LabelledRows& rows,
            std::map<std::string, std::string> notes) const;

  /// Rows of all ranks, and entries.
  int64_t all_rows = 0, all_entries = 0;

 private:
  void check_files(bool dense) const;
  data::LabelledRows read_rows(bool shares, bool dense);
  void agree_on_settings(Ranks& ranks) const;
  void read_beside(data::LabelledRows& rows, Ranks* ranks);
  void check_classes(const data::LabelledRows& rows, Ranks* others) const;
  void drop_empty_columns(data::LabelledRows& rows, Ranks* ranks) const;
};

}  // namespace lariat::cli
