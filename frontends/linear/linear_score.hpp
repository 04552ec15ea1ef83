#pragma once

#include <memory>
#include <span>

#include "frontends/linear/linear_problem.hpp"
#include "graph/program/program.hpp"

namespace lariat {

/// What predictions of rows are worth: a mean over rows by their weights, or a ranking.
struct LinearScore {
  std::string name;
  bool larger_is_better = false;
  /// Of z [rows · outputs].
  double (*of)(const LinearProblem& problem, std::span<const double> z, const data::LabelledRows& rows);
};

/// Those of the problem's loss, the default first: deviance of logistic, poisson and multinomial, accuracy of
/// classes, auc of two, mean-squared-error and mean-absolute-error of numbers.
std::vector<LinearScore> linear_scores(const LinearProblem& problem);

/// X·w + b of rows for one model after the other, [rows · outputs].
class LinearPredictor {
 public:
  LinearPredictor(const LinearProblem& problem, const data::LabelledRows& rows);
  std::vector<double> operator()(const Store& parameters);

 private:
  std::unique_ptr<Program> program_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace lariat
