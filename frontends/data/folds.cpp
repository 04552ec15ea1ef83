#include "frontends/data/folds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "frontends/data/random.hpp"
#include "frontends/data/transform.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

void check_folds(int64_t examples, int64_t folds) {
  if (folds < 2) throw UserError(fmt::format("folds = {}: must be an integer from 2", folds));
  if (folds > examples)
    throw UserError(fmt::format("folds = {}: there are only {} examples; take fewer folds", folds, examples));
}

// The examples of each stratum, each in an order of its own.
std::vector<std::vector<int64_t>> shuffled_strata(const std::vector<int64_t>& strata, uint64_t seed) {
  std::vector<std::vector<int64_t>> members;
  for (size_t i = 0; i < strata.size(); ++i) {
    const auto stratum = static_cast<size_t>(strata[i]);
    if (stratum >= members.size()) members.resize(stratum + 1);
    members[stratum].push_back(static_cast<int64_t>(i));
  }
  for (size_t stratum = 0; stratum < members.size(); ++stratum) {
    RandomStream random(seed, RandomPurpose::folds, static_cast<uint32_t>(stratum), 1);
    shuffle(members[stratum], random);
  }
  return members;
}

bool is_one_hot(const Example& example) {
  int64_t ones = 0;
  for (const float target : example.targets) {
    if (target != 0 && target != 1) return false;
    ones += target == 1 ? 1 : 0;
  }
  return ones == 1;
}

}  // namespace

std::vector<int64_t> fold_numbers(int64_t examples, int64_t folds, uint64_t seed) {
  check_folds(examples, folds);
  std::vector<int64_t> order(static_cast<size_t>(examples)), numbers(order.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  RandomStream random(seed, RandomPurpose::folds);
  shuffle(order, random);
  for (size_t i = 0; i < order.size(); ++i)
    numbers[static_cast<size_t>(order[i])] = static_cast<int64_t>(i) % folds;
  return numbers;
}

std::vector<int64_t> fold_numbers(const std::vector<int64_t>& strata, const std::vector<std::string>& names,
                                  int64_t folds, uint64_t seed) {
  check_folds(static_cast<int64_t>(strata.size()), folds);
  const std::vector<std::vector<int64_t>> members = shuffled_strata(strata, seed);
  std::vector<int64_t> numbers(strata.size());
  int64_t next = 0;
  for (size_t stratum = 0; stratum < members.size(); ++stratum) {
    const auto count = static_cast<int64_t>(members[stratum].size());
    if (count > 0 && count < folds)
      throw UserError(fmt::format("folds = {}: the class '{}' has only {} example{}; {}", folds,
                                  stratum < names.size() ? names[stratum] : fmt::format("{}", stratum), count,
                                  count == 1 ? "" : "s",
                                  count == 1 ? "give it more, or leave it out"
                                             : fmt::format("take at most {} folds, or give it more", count)));
    // The next stratum goes on where this one ends, so that folds are of one size.
    for (const int64_t example : members[stratum]) numbers[static_cast<size_t>(example)] = next++ % folds;
  }
  return numbers;
}

Strata strata_of(const Dataset& dataset) {
  Strata strata;
  const Targets& targets = dataset.targets;
  if (targets.width == 0) {
    strata.names = dataset.classes;
    for (const Example& example : dataset.examples) strata.of_example.push_back(example.label);
    return strata;
  }
  const auto is_class = [&](const Example& example) {
    return targets.width == 1 ? example.targets[0] == 0 || example.targets[0] == 1 : is_one_hot(example);
  };
  if (targets.by_frame || targets.symbols ||
      !std::all_of(dataset.examples.begin(), dataset.examples.end(), is_class))
    return {};
  strata.names = targets.width == 1 ? std::vector<std::string>{"0", "1"} : targets.names;
  for (const Example& example : dataset.examples)
    strata.of_example.push_back(targets.width == 1
                                    ? static_cast<int64_t>(example.targets[0])
                                    : std::find(example.targets.begin(), example.targets.end(), 1.0f) -
                                          example.targets.begin());
  return strata;
}

std::vector<int64_t> fold_numbers(const Dataset& dataset, int64_t folds, uint64_t seed) {
  const Strata strata = strata_of(dataset);
  return strata.of_example.empty() ? fold_numbers(static_cast<int64_t>(dataset.examples.size()), folds, seed)
                                   : fold_numbers(strata.of_example, strata.names, folds, seed);
}

FoldParts parts_of(const std::vector<int64_t>& numbers, int64_t fold) {
  FoldParts parts;
  for (size_t i = 0; i < numbers.size(); ++i)
    (numbers[i] == fold ? parts.held_out : parts.fitted).push_back(static_cast<int64_t>(i));
  return parts;
}

std::vector<int64_t> part_of(const std::vector<int64_t>& numbers, const FoldChoice& choice, Split split) {
  std::vector<int64_t> part;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const Split found = numbers[i] == choice.watched ? Split::validation
                        : numbers[i] != choice.index ? Split::train
                        : choice.watched             ? Split::test
                                                     : Split::validation;
    if (found == split) part.push_back(static_cast<int64_t>(i));
  }
  return part;
}

TwoSets fold_of(const Dataset& dataset, const FoldChoice& choice) {
  const std::vector<int64_t> numbers = fold_numbers(dataset, choice.count, choice.seed);
  if (choice.index < 0 || choice.index >= choice.count)
    throw UserError(fmt::format("fold {}: there are the folds 0 to {} of {}", choice.index, choice.count - 1,
                                choice.count));
  const FoldParts parts = parts_of(numbers, choice.index);
  return {chosen(dataset, parts.fitted), chosen(dataset, parts.held_out)};
}

TwoSets split(const Dataset& dataset, double share, uint64_t seed) {
  if (!(share > 0 && share < 1))
    throw UserError(fmt::format("share = {}: must be a number above 0 and below 1", share));
  Strata strata = strata_of(dataset);
  if (strata.of_example.empty()) strata.of_example.assign(dataset.examples.size(), 0);
  std::vector<int64_t> numbers(dataset.examples.size(), 0);
  int64_t seen = 0, held_out = 0;
  for (const std::vector<int64_t>& members : shuffled_strata(strata.of_example, seed)) {
    seen += static_cast<int64_t>(members.size());
    // What rounding leaves over in one stratum is made up for in the next.
    const int64_t wanted = std::llround(share * static_cast<double>(seen)) - held_out;
    const int64_t count = std::clamp<int64_t>(wanted, 0, static_cast<int64_t>(members.size()));
    for (int64_t i = 0; i < count; ++i) numbers[static_cast<size_t>(members[static_cast<size_t>(i)])] = 1;
    held_out += count;
  }
  if (held_out == 0 || held_out == seen)
    throw UserError(fmt::format("share = {}: of {} examples it holds out {}; both sets need some", share,
                                seen, held_out));
  const FoldParts parts = parts_of(numbers, 1);
  return {chosen(dataset, parts.fitted), chosen(dataset, parts.held_out)};
}

}  // namespace lariat::data
