#include "frontends/data/labelled_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <system_error>
#include <utility>

#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "graph/io/input_file.hpp"

namespace lariat::data {

std::string LabelledRows::place(int64_t row) const {
  return fmt::format("{}: {} {}", file, unit, places[static_cast<size_t>(row)]);
}

std::string LabelledRows::fingerprint() const {
  uint64_t hash = 0;
  const auto add = [&](const auto& numbers) {
    hash = hash_bytes(numbers.data(), numbers.size() * sizeof(numbers[0]), hash);
  };
  for (const std::vector<double>* numbers : {&values, &labels, &weights, &offsets}) add(*numbers);
  for (const std::vector<int32_t>* numbers : {&entry_columns, &row_starts}) add(*numbers);
  return fmt::format("{} rows of {} columns (hash {:016x})", rows, columns, hash);
}

LabelledRows chosen_rows(const LabelledRows& all, const std::vector<int64_t>& rows) {
  LabelledRows chosen;
  chosen.rows = static_cast<int64_t>(rows.size()), chosen.columns = all.columns;
  chosen.column_numbers = all.column_numbers;
  chosen.all_columns = all.all_columns;
  chosen.scales = all.scales;
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
    if (!all.weights.empty()) chosen.weights.push_back(all.weights[at]);
    if (!all.offsets.empty()) chosen.offsets.push_back(all.offsets[at]);
  }
  return chosen;
}

LabelledRows rows_between(const LabelledRows& all, int64_t first, int64_t count) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), first);
  return chosen_rows(all, numbers);
}

std::vector<int64_t> used_columns(const LabelledRows& rows) {
  std::vector<int64_t> used(rows.entry_columns.begin(), rows.entry_columns.end());
  std::sort(used.begin(), used.end());
  used.erase(std::unique(used.begin(), used.end()), used.end());
  return used;
}

void keep_columns(LabelledRows& rows, std::vector<int64_t> used) {
  for (int32_t& column : rows.entry_columns)
    column = static_cast<int32_t>(std::lower_bound(used.begin(), used.end(), column) - used.begin());
  rows.all_columns = rows.columns;
  rows.columns = static_cast<int64_t>(used.size());
  rows.column_numbers = std::move(used);
}

void sort_columns(LabelledRows& rows, const std::vector<double>& keys) {
  const auto columns = static_cast<size_t>(rows.columns);
  std::vector<int64_t> order(columns);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return keys[static_cast<size_t>(rows.number_of(a))] < keys[static_cast<size_t>(rows.number_of(b))];
  });
  std::vector<int32_t> place(columns);
  std::vector<int64_t> numbers;
  std::vector<double> scales;
  for (size_t j = 0; j < columns; ++j) {
    place[static_cast<size_t>(order[j])] = static_cast<int32_t>(j);
    numbers.push_back(rows.number_of(order[j]));
    if (!rows.scales.empty()) scales.push_back(rows.scale(order[j]));
  }
  std::vector<std::pair<int32_t, double>> entries;
  for (int64_t row = 0; row < rows.rows; ++row) {
    const auto at = static_cast<size_t>(row);
    const size_t begin = rows.sparse() ? static_cast<size_t>(rows.row_starts[at]) : at * columns;
    const size_t end = rows.sparse() ? static_cast<size_t>(rows.row_starts[at + 1]) : begin + columns;
    entries.clear();
    for (size_t k = begin; k < end; ++k)
      entries.emplace_back(place[rows.sparse() ? static_cast<size_t>(rows.entry_columns[k]) : k - begin],
                           rows.values[k]);
    std::sort(entries.begin(), entries.end());
    for (size_t k = begin; k < end; ++k) {
      rows.values[k] = entries[k - begin].second;
      if (rows.sparse()) rows.entry_columns[k] = entries[k - begin].first;
    }
  }
  if (rows.column_numbers.empty()) rows.all_columns = rows.columns;
  rows.column_numbers = std::move(numbers);
  rows.scales = std::move(scales);
}

void standardize(LabelledRows& rows, const RowParts& parts) {
  const auto columns = static_cast<size_t>(rows.columns);
  const auto each_value = [&](int64_t first, int64_t last, auto&& take) {
    for (int64_t row = first; row < last; ++row) {
      const auto at = static_cast<size_t>(row);
      const size_t begin = rows.sparse() ? static_cast<size_t>(rows.row_starts[at]) : at * columns;
      const size_t end = rows.sparse() ? static_cast<size_t>(rows.row_starts[at + 1]) : begin + columns;
      for (size_t k = begin; k < end; ++k)
        take(rows.sparse() ? static_cast<size_t>(rows.entry_columns[k]) : k - begin, rows.values[k],
             rows.weight(row));
    }
  };
  const double all = parts.sum(rows.rows, [&](int64_t row) { return rows.weight(row); });
  // Of each column Σ w·x and Σ w of the entries that there are, then Σ w·(x - mean)².
  const std::vector<double> sums =
      parts.sum(rows.rows, 2 * columns, [&](int64_t first, int64_t last, std::span<double> to) {
        each_value(first, last, [&](size_t column, double value, double weight) {
          to[column] += weight * value;
          to[columns + column] += weight;
        });
      });
  const std::vector<double> squares =
      parts.sum(rows.rows, columns, [&](int64_t first, int64_t last, std::span<double> to) {
        each_value(first, last, [&](size_t column, double value, double weight) {
          const double deviation = value - sums[column] / all;
          to[column] += weight * deviation * deviation;
        });
      });
  rows.scales.assign(columns, 1);
  for (size_t j = 0; j < columns; ++j) {
    const double mean = sums[j] / all;
    // Entries that a sparse row leaves out are 0.
    const double variance = (squares[j] + std::max(0.0, all - sums[columns + j]) * mean * mean) / all;
    if (variance > 1e-24 * mean * mean && variance > 0) rows.scales[j] = std::sqrt(variance);
  }
  for (int64_t row = 0; row < rows.rows; ++row) {
    const auto at = static_cast<size_t>(row);
    const size_t begin = rows.sparse() ? static_cast<size_t>(rows.row_starts[at]) : at * columns;
    const size_t end = rows.sparse() ? static_cast<size_t>(rows.row_starts[at + 1]) : begin + columns;
    for (size_t k = begin; k < end; ++k)
      rows.values[k] /= rows.scales[rows.sparse() ? static_cast<size_t>(rows.entry_columns[k]) : k - begin];
  }
}

std::string read_whole_file(const std::string& file) {
  try {
    return InputFile(file).rest();
  } catch (const std::system_error& error) {
    throw UserError(fmt::format("{}: {}", file, reason_of(error)));
  }
}

}  // namespace lariat::data
