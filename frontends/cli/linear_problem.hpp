#pragma once

#include <string>
#include <vector>

#include "autodiff/convex/solver.hpp"
#include "frontends/cli/arguments.hpp"
#include "frontends/cli/progress.hpp"
#include "frontends/data/labelled_rows.hpp"
#include "graph/base/json.hpp"
#include "graph/ir/graph.hpp"

namespace lariat::cli {

/// One term of --penalty: coefficient·Σ|w| (l1), coefficient·Σw² (l2), or the coefficient times the sum of
/// what an op that is a penalty gives, with attributes as text.
struct PenaltySpec {
  double coefficient = 1;
  std::string name;
  Strings attributes = {};
  /// Whether it can make weights exactly zero.
  bool makes_zeros() const;
};

/// "1.0*l1 + 0.5*l2", "0.1*ordered_l1:spread=2". Throws UserError naming what cannot be read.
std::vector<PenaltySpec> parse_penalty(const std::string& text);

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
struct LinearProblem {
  std::string data, labels, loss = "logistic";
  Strings penalty_texts;
  std::vector<PenaltySpec> penalty;
  std::optional<std::pair<double, double>> classes;  // the labels of the two, the second one being 1
  bool bias = false, quiet = false, zero_based = false;
  SolveOptions options;
  std::optional<int64_t> seed, threads, iterations;

  void declare(Arguments& arguments);
  /// Reads the penalty, l1 where there is none. Throws UsageError where it cannot be read or no data are
  /// named.
  void check(const std::string& command);
  SolveOptions solve_options(int with_threads, SolveProgress& progress) const;
  /// The files that are read.
  Strings inputs() const { return {data, labels}; }
  /// Reads the data and checks that the loss takes the labels, which are then -1 and 1 for classes. Columns
  /// without entries may be left out. Throws UserError.
  data::LabelledRows read() const;
  /// Throws UserError where all rows are of one class, and a bias would grow without end; `which` says of
  /// which rows.
  void check_classes(const data::LabelledRows& rows, const std::string& which) const;
  /// The parameters with a weight for every column of the data.
  Store with_all_columns(const Store& store, const data::LabelledRows& rows) const;
  /// The loss of `rows` as an ordinary graph with the parameter "w" and, where asked for, "b".
  Value build(Graph& graph, const data::LabelledRows& rows) const;
  /// X·w + b of those rows.
  Value prediction(Graph& graph, const data::LabelledRows& rows) const;
  bool classifies() const { return loss != "squared"; }
  /// "logistic loss + 1*l1".
  std::string title() const;
  /// The coefficient of Σ|w|.
  double l1() const;
  /// Whether a term other than squares has a coefficient.
  bool makes_zeros() const;
};

}  // namespace lariat::cli
