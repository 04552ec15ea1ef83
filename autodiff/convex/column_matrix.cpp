#include "autodiff/convex/column_matrix.hpp"

#include <algorithm>
#include <numeric>

namespace lariat::convex {

namespace {

// Sorts the entries of the columns where rows do not ascend, and adds up those of one place.
void merge_repeated(ColumnMatrix& matrix) {
  std::vector<std::pair<int32_t, double>> column;
  int64_t filled = 0, begin = 0;
  for (int64_t j = 0; j < matrix.columns(); ++j) {
    const int64_t end = matrix.starts[j + 1];
    column.clear();
    for (int64_t k = begin; k < end; ++k) column.emplace_back(matrix.entry_rows[k], matrix.values[k]);
    std::stable_sort(column.begin(), column.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    const int64_t first = filled;
    for (const auto& [row, value] : column) {
      if (filled > first && matrix.entry_rows[filled - 1] == row) {
        matrix.values[filled - 1] += value;
        continue;
      }
      matrix.entry_rows[filled] = row;
      matrix.values[filled++] = value;
    }
    begin = end;
    matrix.starts[j + 1] = filled;
  }
  matrix.entry_rows.resize(filled);
  matrix.values.resize(filled);
}

}  // namespace

ColumnMatrix ColumnMatrixBuilder::build() && {
  ColumnMatrix matrix{.rows = rows_};
  std::partial_sum(counts_.begin(), counts_.end(), counts_.begin());
  matrix.starts = counts_;
  matrix.entry_rows.resize(entries_.size());
  matrix.values.resize(entries_.size());
  bool ascending = true;
  std::vector<int64_t> next(counts_.begin(), counts_.end() - 1);
  for (const Entry& entry : entries_) {
    const int64_t at = next[entry.column]++;
    matrix.entry_rows[at] = entry.row;
    matrix.values[at] = entry.value;
    ascending &= at == matrix.starts[entry.column] || matrix.entry_rows[at - 1] < entry.row;
  }
  if (!ascending) merge_repeated(matrix);
  return matrix;
}

}  // namespace lariat::convex
