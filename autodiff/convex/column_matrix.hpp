#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "autodiff/convex/row_parts.hpp"

namespace lariat::convex {

/// A sparse matrix by columns: the entries of column j are [starts[j], starts[j + 1]), rows ascending. Its
/// rows may be one rank's of more.
struct ColumnMatrix {
  int64_t rows = 0;
  std::vector<int64_t> starts{0};
  std::vector<int32_t> entry_rows = {};
  std::vector<double> values = {};
  RowParts parts = {};

  int64_t columns() const { return static_cast<int64_t>(starts.size()) - 1; }
  int64_t entries(int64_t j) const { return starts[j + 1] - starts[j]; }
  /// Where the entries of column j begin and end that lie in the rows from `begin` to `end`.
  std::pair<int64_t, int64_t> entries_within(int64_t j, int64_t begin, int64_t end) const {
    const auto first = entry_rows.begin() + starts[j], last = entry_rows.begin() + starts[j + 1];
    return {begin == 0 ? starts[j] : std::lower_bound(first, last, begin) - entry_rows.begin(),
            end == rows ? starts[j + 1] : std::lower_bound(first, last, end) - entry_rows.begin()};
  }
  /// Σ_i X_ij d_i of those rows, in four interleaved sums, for additions wait for each other.
  double dot(int64_t j, const double* d, int64_t begin, int64_t end) const {
    double sums[4] = {};
    auto [k, last] = entries_within(j, begin, end);
    for (; k + 4 <= last; k += 4)
      for (int64_t i = 0; i < 4; ++i) sums[i] += values[k + i] * d[entry_rows[k + i]];
    for (; k < last; ++k) sums[0] += values[k] * d[entry_rows[k]];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }
  /// Of all rows here.
  double dot(int64_t j, const double* d) const { return dot(j, d, 0, rows); }
  /// z += a·X_j.
  void add_column(int64_t j, double a, double* z) const {
    for (int64_t k = starts[j]; k < starts[j + 1]; ++k) z[entry_rows[k]] += a * values[k];
  }
};

/// Collects entries in any order, several at one place adding up.
class ColumnMatrixBuilder {
 public:
  ColumnMatrixBuilder(int64_t rows, int64_t columns)
      : rows_(rows), counts_(static_cast<size_t>(columns) + 1) {}
  void add(int64_t row, int64_t column, double value) {
    if (value == 0) return;
    entries_.push_back({static_cast<int32_t>(row), static_cast<int32_t>(column), value});
    ++counts_[static_cast<size_t>(column) + 1];
  }
  void reserve(size_t entries) { entries_.reserve(entries_.size() + entries); }
  ColumnMatrix build() &&;

 private:
  struct Entry {
    int32_t row, column;
    double value;
  };
  int64_t rows_;
  std::vector<int64_t> counts_;
  std::vector<Entry> entries_;
};

}  // namespace lariat::convex
