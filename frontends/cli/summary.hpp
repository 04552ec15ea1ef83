#pragma once

#include <string>

#include "frontends/recipe/result.hpp"
#include "frontends/report/report.hpp"
#include "graph/base/json.hpp"
#include "graph/io/store.hpp"

namespace lariat::cli {

/// What came out of a training, as lines in columns; with the name of its report where there is one.
std::string summary(const RunResult& result, const std::string& report_file = {});

/// The accuracy, where there is one, and the metrics of an evaluation: names and figures.
std::vector<std::vector<std::string>> measures(const Evaluation& evaluation);

/// The tensors of a model: shape, share of zeros with a small bar, and how a file holds them where that is
/// known.
std::string tensor_table(const std::vector<TensorZeros>& tensors, const StoredTensors& stored = {});

/// result.json(), and the size of the model file.
Json figures(const RunResult& result);

/// The counts of all rows, one after the other.
std::vector<int64_t> flattened(const std::vector<std::vector<int64_t>>& confusion);

/// Each on its line, to standard error; `what` stands before the list.
void list_skipped(const std::vector<std::string>& skipped);

/// The bytes of a file, or 0.
double file_bytes(const std::string& file);

}  // namespace lariat::cli
