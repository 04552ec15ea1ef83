#include "frontends/data/labelled_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "graph/base/error.hpp"
#include "graph/io/input_file.hpp"

namespace lariat::data {

std::string LabelledRows::place(int64_t row) const {
  return fmt::format("{}: {} {}", file, unit, places[static_cast<size_t>(row)]);
}

LabelledRows chosen_rows(const LabelledRows& all, const std::vector<int64_t>& rows) {
  LabelledRows chosen;
  chosen.rows = static_cast<int64_t>(rows.size()), chosen.columns = all.columns;
  chosen.column_numbers = all.column_numbers;
  chosen.all_columns = all.all_columns;
  chosen.file = all.file;
  chosen.unit = all.unit;
  if (all.sparse()) chosen.row_starts.push_back(0);
  for (const int64_t row : rows) {
    const auto at = static_cast<size_t>(row);
    const int64_t begin = all.sparse() ? all.row_starts[at] : row * all.columns;
    const int64_t end = all.sparse() ? all.row_starts[at + 1] : (row + 1) * all.columns;
    chosen.values.insert(chosen.values.end(), all.values.begin() + begin, all.values.begin() + end);
    if (all.sparse()) {
      chosen.entry_columns.insert(chosen.entry_columns.end(), all.entry_columns.begin() + begin,
                                  all.entry_columns.begin() + end);
      chosen.row_starts.push_back(static_cast<int32_t>(chosen.values.size()));
    }
    chosen.labels.push_back(all.labels[at]);
    chosen.places.push_back(all.places[at]);
  }
  return chosen;
}

void drop_empty_columns(LabelledRows& rows) {
  if (!rows.sparse() || rows.columns <= static_cast<int64_t>(rows.values.size())) return;
  std::vector<int64_t> used(rows.entry_columns.begin(), rows.entry_columns.end());
  std::sort(used.begin(), used.end());
  used.erase(std::unique(used.begin(), used.end()), used.end());
  for (int32_t& column : rows.entry_columns)
    column = static_cast<int32_t>(std::lower_bound(used.begin(), used.end(), column) - used.begin());
  rows.all_columns = rows.columns;
  rows.columns = static_cast<int64_t>(used.size());
  rows.column_numbers = std::move(used);
}

std::string read_whole_file(const std::string& file) {
  try {
    return InputFile(file).rest();
  } catch (const std::system_error& error) {
    throw UserError(fmt::format("{}: {}", file, reason_of(error)));
  }
}

}  // namespace lariat::data
