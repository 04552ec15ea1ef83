#pragma once

#include <string>

#include "frontends/recipe/result.hpp"
#include "frontends/report/report.hpp"
#include "frontends/search/search.hpp"
#include "graph/base/json.hpp"

namespace lariat::cli {

/// "trial 3/20  optimizer.learning_rate 0.01: accuracy 0.9712 ± 0.0031, exact zeros 91.2%, 4.1 s".
std::string trial_line(const search::Trial& trial, const std::vector<search::Range>& ranges, int64_t planned,
                       const std::string& score);

/// All trials, or the best of many, with the best and the chosen one marked.
std::string search_table(const search::SearchResult& result);

Json search_json(const search::SearchResult& result);

/// A page about a search: score and zeros against what was tried, all trials, the winner.
reports::ReportData search_report(const search::SearchResult& result, const RunResult& winner,
                                  const std::string& recipe_text);

}  // namespace lariat::cli
