#pragma once

#include <optional>

#include "frontends/data/dataset.hpp"

namespace lariat::data {

/// One of the parts that a training set is cut into for cross-validation: what is held out, and not trained
/// on.
struct FoldChoice {
  int64_t index = 0, count = 5;  ///< from 0
  uint64_t seed = 0;             ///< which examples are together
  /// Another fold that is not trained on, to validate on: the first is the test then.
  std::optional<int64_t> watched = std::nullopt;
};

/// The fold of each of so many examples, from 0: folds differ by one example at most. Throws UserError for
/// fewer than 2 folds, or more than there are examples.
std::vector<int64_t> fold_numbers(int64_t examples, int64_t folds, uint64_t seed);
/// The same, stratified: every stratum is spread over all folds as evenly as that goes. `strata` are numbers
/// from 0, and `names` what a message calls them. Throws UserError where one has fewer examples than folds.
std::vector<int64_t> fold_numbers(const std::vector<int64_t>& strata, const std::vector<std::string>& names,
                                  int64_t folds, uint64_t seed);
/// The same of a dataset: stratified by its labels, or by its targets where they are one class of several or
/// one of two; else not.
std::vector<int64_t> fold_numbers(const Dataset& dataset, int64_t folds, uint64_t seed);

/// The stratum of each example, with the strata's names; both are empty where the dataset has none.
struct Strata {
  std::vector<int64_t> of_example;
  std::vector<std::string> names;
};
Strata strata_of(const Dataset& dataset);

/// Where `numbers` say a fold or not, ascending.
struct FoldParts {
  std::vector<int64_t> fitted, held_out;
};
FoldParts parts_of(const std::vector<int64_t>& numbers, int64_t fold);
/// Which examples a split has, ascending: those to train on, to validate on, or to test on, of which there
/// are none where no other fold is watched.
std::vector<int64_t> part_of(const std::vector<int64_t>& numbers, const FoldChoice& choice, Split split);

/// A training set and what is held out of it.
struct TwoSets {
  Dataset fitted, held_out;
};
/// One of `choice.count` folds.
TwoSets fold_of(const Dataset& dataset, const FoldChoice& choice);
/// `share` of the examples, above 0 and below 1, held out; stratified as fold_numbers() is. Throws UserError
/// where one of the two would be empty.
TwoSets split(const Dataset& dataset, double share, uint64_t seed);

}  // namespace lariat::data
