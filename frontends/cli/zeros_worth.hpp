#pragma once

#include <string>
#include <vector>

#include "frontends/data/dataset.hpp"
#include "frontends/report/report.hpp"

namespace lariat::cli {

/// What the zeros of a model file are worth, layer by layer: a table of bytes, and one of work. Times are
/// those of one example on one thread, beside the same model whose zeros are tiny numbers instead. Nothing
/// where no weight is zero. `seconds` are spent on the times of each layer.
struct ZerosWorth {
  std::vector<reports::ReportData::Table> tables;
  /// In one sentence.
  std::string plainly;
};
ZerosWorth zeros_worth(const std::string& file, const data::Dataset* examples, double seconds = 0.05);

}  // namespace lariat::cli
