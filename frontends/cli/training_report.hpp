#pragma once

#include <string>

#include "frontends/recipe/run.hpp"
#include "frontends/report/report.hpp"

namespace lariat::cli {

/// The report of a training that is over, but for title and summary; the recipe is shown as `recipe_text`.
/// Where it is not asked for, what takes time is measured more coarsely.
reports::ReportData training_report(const RunResult& result, TrainingRun& run, const std::string& recipe_text,
                                    bool is_asked_for);

/// What the rewrite did, a sentence for each term and each refusal.
std::vector<std::string> plain_words(const RunResult& result);

}  // namespace lariat::cli
