#pragma once

#include <optional>

#include "frontends/linear/linear_score.hpp"
#include "frontends/sequential/outcome.hpp"

namespace lariat {

/// A linear model as a file: weights "w" [columns] or [columns, classes], perhaps a bias "b", and what it
/// predicts.
class SavedLinear {
 public:
  /// Weights of all columns, of values as they are in the file.
  SavedLinear(LinearProblem problem, Store parameters, bool zero_based = false);
  /// Whether a store is such a model.
  static bool is_one(const Store& store);
  /// Throws UserError naming the file where it is damaged.
  static SavedLinear of(const Store& store, const std::string& file);
  void save(const std::string& file, const std::map<std::string, std::string>& notes = {}) const;

  const LinearProblem& problem() const { return problem_; }
  const Store& parameters() const { return parameters_; }
  int64_t columns() const { return parameters_.get("w").extents()[0]; }
  /// Notes beside the problem, such as its certificate.
  const std::map<std::string, std::string>& notes() const { return notes_; }

  /// Rows with the columns of the model: LIBSVM text, or matrices of numpy, whose labels need not be there
  /// where they are not `labelled`. Labels become what the loss takes. Throws UserError naming the file, and
  /// the line, for a column or a class that the model does not know.
  data::LabelledRows read(const std::string& file, const std::string& labels, bool labelled) const;
  /// All scores of the problem.
  MetricValues evaluate(const data::LabelledRows& rows) const;
  /// [rows · outputs]: z. Throws UserError where rows have offsets and the model was fitted without, or the
  /// other way round.
  std::vector<double> predict(const data::LabelledRows& rows) const;

 private:
  LinearProblem problem_;
  Store parameters_;
  bool zero_based_ = false;
  std::map<std::string, std::string> notes_;
};

/// Labels as the problem takes them: classes become -1 and 1, or 0, 1, …, where `classes` say which is which;
/// problem.classes are set. Where none are given, two are -1 and 1, or 0 and 1, and several are those that
/// occur, ascending, in `known` where these rows are a share of all. Throws UserError naming the row of
/// another label.
void read_labels(data::LabelledRows& rows, LinearProblem& problem, const std::vector<double>& classes,
                 const std::vector<double>& known = {});

}  // namespace lariat
