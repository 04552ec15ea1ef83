#include "frontends/search/choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/base/error.hpp"

namespace lariat::search {

void summarise(Trial& trial) {
  const auto folds = static_cast<double>(trial.fold_scores.size());
  trial.score = std::accumulate(trial.fold_scores.begin(), trial.fold_scores.end(), 0.0) / folds;
  trial.zeros = std::accumulate(trial.fold_zeros.begin(), trial.fold_zeros.end(), 0.0) / folds;
  double squares = 0;
  for (const double score : trial.fold_scores) squares += (score - trial.score) * (score - trial.score);
  trial.standard_error = folds > 1 ? std::sqrt(squares / (folds - 1) / folds) : 0;
}

std::vector<size_t> ranked(const std::vector<Trial>& trials, bool larger_is_better) {
  std::vector<size_t> order(trials.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const Trial &first = trials[a], &second = trials[b];
    if (first.score != second.score)
      return larger_is_better ? first.score > second.score : first.score < second.score;
    return first.zeros > second.zeros;
  });
  return order;
}

void choose(SearchResult& result, SearchChoice choice) {
  for (const size_t place : ranked(result.trials, result.larger_is_better))
    if (result.trials[place].state == TrialState::complete) {
      result.best = place;
      break;
    }
  if (!result.best) {
    std::string why = "there are none";
    for (const Trial& trial : result.trials)
      if (!trial.failure.empty()) why = trial.failure;
    throw JobError(fmt::format("every trial failed; the last: {}", why));
  }
  result.chosen = result.best;
  if (choice == SearchChoice::best) return;
  const Trial& best = result.trials[*result.best];
  for (size_t i = 0; i < result.trials.size(); ++i) {
    const Trial &trial = result.trials[i], &taken = result.trials[*result.chosen];
    if (trial.state != TrialState::complete) continue;
    const double loss = result.larger_is_better ? best.score - trial.score : trial.score - best.score;
    if (loss <= best.standard_error && trial.zeros > taken.zeros) result.chosen = i;
  }
}

}  // namespace lariat::search
