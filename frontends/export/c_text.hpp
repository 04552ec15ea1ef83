#pragma once

#include "frontends/export/c_model.hpp"
#include "frontends/export/export_c.hpp"

namespace lariat::to_c {

/// All that the three files say.
struct CText {
  const CSetting& setting;
  const CMemory& memory;
  const CModel& model;
  const CProgram& program;
  bool int8 = false, predictions = true;
  std::vector<std::string> classes;
  int sample_rate = 0;
  /// Where the features are columns of a table.
  const data::Columns* columns = nullptr;
  /// The named arrays of other data, where they have several.
  std::vector<data::Column> arrays = {};
};

std::string header_text(const CText& text);
std::string source_text(const CText& text, const CUnit& unit);
/// A program that runs `inputs` and compares what comes out with `results`.
std::string test_text(const CText& text, const std::vector<TestInput>& inputs,
                      const std::vector<std::vector<float>>& results);

}  // namespace lariat::to_c
