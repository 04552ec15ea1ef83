#include "frontends/linear/regularisation_path.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "frontends/data/folds.hpp"
#include "frontends/linear/linear_score.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"

namespace lariat {

namespace {

LinearScore chosen_score(const LinearProblem& problem, const std::string& name) {
  for (const LinearScore& score : linear_scores(problem))
    if (name.empty() || name == score.name) return score;
  throw UserError(fmt::format("score = {}: the loss {} is scored by {}", name, problem.loss,
                              fmt::join(scores_of(problem), " or ")));
}

// Of each row: stratified where the loss learns classes, but for a class of one row, which no folds can
// share.
std::vector<int64_t> folds_of_rows(const LinearProblem& problem, const data::LabelledRows& rows,
                                   const PathOptions& options) {
  const auto plain = [&] { return data::fold_numbers(rows.rows, options.folds, options.seed); };
  if (!problem.classifies()) return plain();
  std::vector<int64_t> strata;
  std::map<int64_t, int64_t> members;
  std::vector<std::string> names;
  for (const double label : rows.labels) {
    strata.push_back(problem.has_signs() ? (label > 0 ? 1 : 0) : static_cast<int64_t>(label));
    ++members[strata.back()];
  }
  for (const auto& [stratum, count] : members)
    if (count == 1) return plain();
  for (const double label : problem.classes) names.push_back(fmt::format("{}", label));
  if (names.empty()) names = {"-1", "1"};
  return data::fold_numbers(strata, names, options.folds, options.seed);
}

std::vector<double> lambdas(double largest, const PathOptions& options) {
  std::vector<double> result;
  for (int64_t i = 0; i < options.count; ++i) {
    const double share =
        options.count == 1 ? 0 : static_cast<double>(i) / static_cast<double>(options.count - 1);
    result.push_back(largest * std::pow(options.ratio, share));
  }
  return result;
}

// The score on `held_out` of each solution.
std::vector<double> scores_on(const LinearProblem& problem, const data::LabelledRows& held_out,
                              const LinearScore& score, const std::vector<Solution>& solutions) {
  LinearPredictor predict(problem, held_out);
  std::vector<double> result;
  for (const Solution& solution : solutions)
    result.push_back(score.of(problem, predict(solution.store), held_out));
  return result;
}

void agree_on_path(Ranks& ranks, const LinearProblem& problem, const data::LabelledRows& rows,
                   const PathOptions& options) {
  ranks.agree({{"other settings",
                fmt::format("{}\ndelta {}\nfactors {}\n{} λ\nratio {}\n{} folds\nscore {}\nseed {}\n",
                            problem.title(), problem.delta, fmt::join(problem.factors, " "), options.count,
                            options.ratio, options.folds, options.score, options.seed)}});
  // Else ranks have their own rows.
  if (options.folds > 0) ranks.agree({{"other data", rows.fingerprint()}});
}

// The scores of each fold from the rank that has them, with every bit.
void gather_folds(Ranks& ranks, std::vector<std::vector<double>>& by_fold, size_t count) {
  std::string own;
  for (const std::vector<double>& scores : by_fold)
    own.append(reinterpret_cast<const char*>(scores.data()), scores.size() * sizeof(double));
  const std::vector<std::string> all = ranks.gather(own, "the other folds");
  std::vector<size_t> taken(all.size());
  const size_t bytes = count * sizeof(double);
  for (size_t fold = 0; fold < by_fold.size(); ++fold) {
    const size_t rank = fold % all.size();
    by_fold[fold].resize(count);
    std::memcpy(by_fold[fold].data(), all[rank].data() + taken[rank], bytes);
    taken[rank] += bytes;
  }
}

void choose(RegularisationPath& path, bool larger_is_better) {
  const auto better = [&](double a, double b) { return larger_is_better ? a > b : a < b; };
  for (size_t i = 1; i < path.points.size(); ++i)
    if (better(path.points[i].score, path.points[path.best].score)) path.best = i;
  const PathPoint& best = path.points[path.best];
  const double bound = best.score + (larger_is_better ? -1 : 1) * best.standard_error;
  while (path.one_standard_error < path.best && better(bound, path.points[path.one_standard_error].score))
    ++path.one_standard_error;
}

}  // namespace

std::vector<std::string> scores_of(const LinearProblem& problem) {
  std::vector<std::string> names;
  for (const LinearScore& score : linear_scores(problem)) names.push_back(score.name);
  return names;
}

RegularisationPath regularisation_path(const LinearProblem& problem, const data::LabelledRows& rows,
                                       const PathOptions& options, const SolveOptions& solve_options,
                                       const std::function<void(size_t, size_t)>& progress) {
  const LinearScore score = chosen_score(problem, options.score);
  if (options.folds > 0 && !solve_options.row_parts.is_one())
    throw UserError("folds are of whole rows, of which ranks have parts here; leave one of them out");
  if (options.folds > rows.rows)
    throw UserError(fmt::format("folds = {}: there are only {} rows", options.folds, rows.rows));
  const int64_t ranks = options.ranks ? options.ranks->size() : 1,
                rank = options.ranks ? options.ranks->rank() : 0;
  if (options.ranks) agree_on_path(*options.ranks, problem, rows, options);
  const auto is_own = [=](int64_t fold) { return fold % ranks == rank; };
  const int64_t own_folds = options.folds == 0 ? 0 : (options.folds + ranks - 1 - rank) / ranks;
  const auto total = static_cast<size_t>(options.count * (1 + own_folds));
  size_t done = 0;
  const auto solve_along = [&](const data::LabelledRows& some, std::vector<double> at) {
    Graph graph;
    Solver solver(problem.build(graph, some), solve_options);
    const double largest = at.empty() ? solver.largest_factor() : at.front();
    if (at.empty() && !(largest > 0 && std::isfinite(largest))) {
      const bool penalises_none = !problem.factors.empty() && std::isnan(largest);
      throw UserError(problem.makes_zeros() && (largest == 0 || penalises_none)
                          ? problem.why_zero(some)
                          : "a path needs a penalty that makes weights zero; add l1 to it");
    }
    if (at.empty()) at = lambdas(largest, options);
    std::vector<Solution> solutions;
    for (const double lambda : at) {
      solutions.push_back(solver.solve(lambda));
      progress(++done, total);
    }
    return std::pair{at, std::move(solutions)};
  };

  RegularisationPath path;
  auto [at, solutions] = solve_along(rows, {});
  path.largest_lambda = at.front();
  for (size_t i = 0; i < at.size(); ++i) path.points.push_back({at[i], std::move(solutions[i])});
  if (options.folds == 0) return path;

  path.score = score.name;
  const std::vector<int64_t> numbers = folds_of_rows(problem, rows, options);
  std::vector<std::vector<double>> by_fold(static_cast<size_t>(options.folds));
  for (int64_t fold = 0; fold < options.folds; ++fold) {
    const auto [fitted, held_out] = data::parts_of(numbers, fold);
    const data::LabelledRows fitted_rows = data::chosen_rows(rows, fitted);
    problem.check_classes(fitted_rows,
                          fmt::format("without fold {} of {} every row", fold + 1, options.folds));
    if (!is_own(fold)) continue;
    if (options.ranks) options.ranks->at(fmt::format("fold {}", fold + 1));
    const auto [same, found] = solve_along(fitted_rows, at);
    by_fold[static_cast<size_t>(fold)] = scores_on(problem, data::chosen_rows(rows, held_out), score, found);
  }
  if (options.ranks) gather_folds(*options.ranks, by_fold, at.size());
  const auto folds = static_cast<double>(options.folds);
  for (size_t i = 0; i < path.points.size(); ++i) {
    double mean = 0, squares = 0;
    for (const std::vector<double>& scores : by_fold) mean += scores[i] / folds;
    for (const std::vector<double>& scores : by_fold) squares += (scores[i] - mean) * (scores[i] - mean);
    path.points[i].score = mean;
    path.points[i].standard_error = std::sqrt(squares / (folds - 1) / folds);
  }
  choose(path, score.larger_is_better);
  return path;
}

}  // namespace lariat
