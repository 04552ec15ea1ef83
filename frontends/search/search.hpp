#pragma once

#include "frontends/search/range.hpp"
#include "frontends/search/trial.hpp"
#include "graph/base/owned.hpp"

namespace lariat::search {

/// How far a search is.
struct SearchProgress {
  int64_t trial = 0, trials = 0;  ///< the present one, from 1, and all
  int64_t fold = 0, folds = 0;
  double done = 0;  ///< the share of all steps of training, those of an earlier run included
  double seconds_left = 0;
  std::optional<double> best;
  /// Whether the search is over, and what the winner begins with is trained, as many times as there are
  /// `trials` here.
  bool again = false;
};

/// The values of one trial and what came out.
struct Trial {
  int64_t number = 0;  ///< from 0, in the journal
  std::vector<std::string> values;
  int64_t epochs = 0;  ///< of its last training
  TrialState state = TrialState::running;
  std::vector<double> fold_scores, fold_zeros;
  /// Means over folds, and the standard error of the score; 0 without folds.
  double score = 0, standard_error = 0, zeros = 0;
  double seconds = 0;
  std::string failure;  ///< why it failed, or ""
};

struct SearchOptions {
  /// The folder of the data; empty: the recipe's.
  std::string data = {};
  /// Stands in for the recipe's training.seed: of trainings, folds and draws.
  std::optional<uint64_t> seed = std::nullopt;
  /// 0: what the machine allows. Results are the same for every number.
  int threads = 0;
  /// Those that search together, every one with a search of its own from the same recipe: each trains its
  /// share of the trials, rank 0 writes the journal; nullptr: this process alone.
  std::shared_ptr<Ranks> ranks = nullptr;
  /// Where trials are kept; empty: nowhere.
  std::string journal = {};
  /// Whether to go on with the trials of an earlier run that the journal has.
  bool resume = false;
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const SearchProgress&)> on_progress = {};
  std::function<void(const Trial&)> on_trial = {};
};

struct SearchResult {
  std::vector<Range> ranges;
  std::vector<Trial> trials;
  std::string score;
  bool larger_is_better = true;
  int64_t folds = 0;
  uint64_t seed = 0;
  /// Which of `trials` has the best score, and which is taken; nothing where it was stopped.
  std::optional<size_t> best, chosen;
  bool stopped = false;
  double seconds = 0;

  const Trial& winner() const { return trials.at(chosen.value()); }
};

/// What the [search] table of a recipe asks for: trials of values for keys, each trained and scored by
/// cross-validation on the training examples. The test data are never read.
class Search {
 public:
  /// Reads the ranges, plans the trials and opens the journal. Throws UserError for what is wrong with them.
  explicit Search(Recipe recipe, SearchOptions options = {});
  Search(Search&&) noexcept;
  ~Search();

  const std::vector<Range>& ranges() const;
  /// What trials are scored by.
  const std::string& score() const;
  /// On how many folds; 0: on validation data.
  int64_t folds() const;
  /// How many trials there are.
  int64_t planned() const;
  /// Throws JobError where every trial failed.
  SearchResult run();
  /// The winner's recipe, in which all training examples are trained on, but for validation data that a
  /// callback watches.
  Recipe winning_recipe(const SearchResult& result) const;
  /// Where trials begin with the weights of the last: those that the winner begins with on all training
  /// examples, by training along the same λ. Nothing where it begins with random ones, or was stopped.
  std::optional<Store> winning_start(const SearchResult& result) const;

 private:
  friend void check_search(const Recipe& recipe);
  struct Implementation;
  Owned<Implementation, "search"> self_;
};

/// Throws UserError for what Search would refuse of a recipe, whatever its data are.
void check_search(const Recipe& recipe);

}  // namespace lariat::search
