#pragma once

#include "frontends/search/search.hpp"

namespace lariat::search {

/// Completes a trial by means over its folds.
void summarise(Trial& trial);

/// Says which complete trial is best and which is taken. Of equal scores the one with more zeros is better,
/// then the first. Throws JobError where none is complete.
void choose(SearchResult& result, SearchChoice choice);

/// The places of the better ones of `trials`, best first.
std::vector<size_t> ranked(const std::vector<Trial>& trials, bool larger_is_better);

}  // namespace lariat::search
