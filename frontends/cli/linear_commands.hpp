#pragma once

#include <optional>
#include <string>

#include "frontends/cli/command.hpp"
#include "frontends/linear/saved_linear.hpp"
#include "graph/base/json.hpp"

namespace lariat::cli {

// What `lariat evaluate`, `predict` and `inspect` do with a model of `solve` or `path`: they print, and
// return the figures for --json.

/// The files that say something of rows; "" where there is none.
struct LinearRowFiles {
  std::string data, labels, weights, offset;
};
Json evaluate_linear(const SavedLinear& model, const LinearRowFiles& files);
/// A line for each row as CSV, and what it says.
struct LinearPredictions {
  std::string csv;
  Json figures;
};
LinearPredictions predict_linear(const SavedLinear& model, const LinearRowFiles& files);
Json inspect_linear(const SavedLinear& model, const std::string& file);

}  // namespace lariat::cli
