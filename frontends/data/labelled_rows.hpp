#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/convex/row_parts.hpp"

namespace lariat::data {

/// Rows of features with one number each to predict: what a linear model is fitted to. Sparse rows lie in
/// compressed form (CSR); a dense matrix fills `values` row by row and leaves the other two empty.
struct LabelledRows {
  int64_t rows = 0, columns = 0;
  std::vector<double> values;
  std::vector<int32_t> entry_columns;  ///< of each value, from 0, ascending within a row
  std::vector<int32_t> row_starts;     ///< [rows + 1]
  std::vector<double> labels;
  std::vector<double> weights;  ///< how much each row counts; empty: 1
  std::vector<double> offsets;  ///< added to each row's prediction; empty: 0
  /// What each column's values were divided by; empty: 1.
  std::vector<double> scales;
  /// Where each row stands, for messages: its line, or its number.
  std::vector<int64_t> places;
  std::string file;           ///< the one that holds the labels
  const char* unit = "line";  ///< what `places` count

  /// Where columns without entries are left out: the number of each column among all. Else empty.
  std::vector<int64_t> column_numbers;
  int64_t all_columns = 0;  ///< with those left out; 0 where none is

  /// How many columns the data have, and the number of column j among them.
  int64_t total_columns() const { return column_numbers.empty() ? columns : all_columns; }
  int64_t number_of(int64_t j) const {
    return column_numbers.empty() ? j : column_numbers[static_cast<size_t>(j)];
  }
  double weight(int64_t row) const { return weights.empty() ? 1 : weights[static_cast<size_t>(row)]; }
  double offset(int64_t row) const { return offsets.empty() ? 0 : offsets[static_cast<size_t>(row)]; }
  double scale(int64_t column) const { return scales.empty() ? 1 : scales[static_cast<size_t>(column)]; }
  bool sparse() const { return !row_starts.empty(); }
  /// "a9a: line 12".
  std::string place(int64_t row) const;
  /// "32561 rows of 123 columns (hash 5d52cbb608a0f4d0)", for ranks to compare.
  std::string fingerprint() const;
};

/// The rows whose numbers are listed, in that order.
LabelledRows chosen_rows(const LabelledRows& all, const std::vector<int64_t>& rows);

/// Those from `first` on, `count` of them.
LabelledRows rows_between(const LabelledRows& all, int64_t first, int64_t count);

/// The numbers of the columns with entries, ascending, of sparse rows.
std::vector<int64_t> used_columns(const LabelledRows& rows);
/// Leaves out all columns of sparse rows but these, ascending, which have all entries.
void keep_columns(LabelledRows& rows, std::vector<int64_t> used);

/// Puts columns into the order of their keys, one for each of all columns; those of one key stay in theirs.
/// `column_numbers` say where each was.
void sort_columns(LabelledRows& rows, const std::vector<double>& keys);

/// Divides every column by its standard deviation over the rows, by their weights, and over those of other
/// ranks where `parts` are a share; `scales` keep it. Columns that do not vary stay as they are.
void standardize(LabelledRows& rows, const RowParts& parts = {});

/// Which of the rows of a file a process keeps, where several share them.
struct RowShare {
  /// The first, and how many, of so many.
  std::function<std::pair<int64_t, int64_t>(int64_t rows)> of;
  /// What reading finds: how many rows the files hold, and a number that stands for all of their bytes.
  int64_t rows = 0;
  uint64_t hash = 0;
};

/// The bytes of a file. Throws UserError naming the file where it cannot be read.
std::string read_whole_file(const std::string& file);

}  // namespace lariat::data
