#pragma once

#include "frontends/search/range.hpp"

namespace lariat::search {

/// What a search will try.
struct SearchPlan {
  /// For each trial a value of each range.
  std::vector<std::vector<std::string>> trials;
  /// Trainings of halving: how many trials there are, and for how many epochs; one where there is no halving,
  /// of 0 epochs, which stands for the recipe's.
  struct Rung {
    size_t trials = 0;
    int64_t epochs = 0;
  };
  std::vector<Rung> rungs;
  /// How many trials follow one another along λ, each beginning with the weights of the one before; 1: none
  /// does.
  size_t chain = 1;
};

/// Of a grid the last range changes fastest, or the first one of a term where trials begin with weights of
/// others. Throws UserError for what does not go together.
SearchPlan plan_of(const std::vector<Range>& ranges, const SearchTable& table, int64_t epochs, uint64_t seed);

}  // namespace lariat::search
