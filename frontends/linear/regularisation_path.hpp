#pragma once

#include <functional>

#include "autodiff/convex/solver.hpp"
#include "frontends/linear/linear_problem.hpp"
#include "graph/ranks/ranks.hpp"

namespace lariat {

/// One point of a regularisation path.
struct PathPoint {
  double lambda = 0;  ///< what the whole penalty is multiplied by
  Solution solution;
  /// Of the held-out rows of all folds, where there are folds: the mean over folds and its standard error.
  double score = 0, standard_error = 0;
};

struct PathOptions {
  int64_t count = 100;
  double ratio = 1e-3;  ///< the last λ relative to the first
  int64_t folds = 0;
  uint64_t seed = 0;
  std::string score = {};  ///< one of scores_of(), or "" for the first
  /// Those that compute the same path together: each its share of the folds, or where there are none, its
  /// rows (SolveOptions::row_parts); nullptr: this process alone.
  std::shared_ptr<Ranks> ranks = nullptr;
};

struct RegularisationPath {
  std::vector<PathPoint> points;
  double largest_lambda = 0;
  std::string score;  ///< its name; "" without folds
  /// Which point has the best score, and the sparsest one within a standard error of it.
  size_t best = 0, one_standard_error = 0;
};

/// What the loss can be scored by on rows it was not fitted to; the first is the default.
std::vector<std::string> scores_of(const LinearProblem& problem);

/// Solves along λ from the smallest that makes every weight zero down to `ratio` times that, evenly in log λ,
/// each from the solution before. With folds the same is done without each fold's rows, which are drawn with
/// the seed. `progress` gets the number of solutions there are and will be. Throws UserError where no weight
/// can be zero, or there are fewer rows than folds.
RegularisationPath regularisation_path(const LinearProblem& problem, const data::LabelledRows& rows,
                                       const PathOptions& options, const SolveOptions& solve_options,
                                       const std::function<void(size_t, size_t)>& progress);

}  // namespace lariat
