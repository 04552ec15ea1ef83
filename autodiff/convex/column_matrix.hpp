#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lariat::convex {

/// A sparse matrix by columns: the entries of column j are [starts[j], starts[j + 1]), rows ascending.
struct ColumnMatrix {
  int64_t rows = 0;
  std::vector<int64_t> starts{0};
  std::vector<int32_t> entry_rows = {};
  std::vector<double> values = {};

  int64_t columns() const { return static_cast<int64_t>(starts.size()) - 1; }
  int64_t entries(int64_t j) const { return starts[j + 1] - starts[j]; }
  /// Σ_i X_ij d_i, in four interleaved sums, for additions wait for each other.
  double dot(int64_t j, const double* d) const {
    double sums[4] = {};
    int64_t k = starts[j];
    for (; k + 4 <= starts[j + 1]; k += 4)
      for (int64_t i = 0; i < 4; ++i) sums[i] += values[k + i] * d[entry_rows[k + i]];
    for (; k < starts[j + 1]; ++k) sums[0] += values[k] * d[entry_rows[k]];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }
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
