#include "autodiff/convex/conditioning.hpp"

#include <algorithm>
#include <functional>

namespace lariat::convex {

namespace {

// So many columns are looked at together, which bounds what ranks send at a time.
constexpr int64_t columns_at_once = int64_t{1} << 16;

// What the rows of all ranks have in a column.
struct Column {
  int64_t entries = 0;
  double first = 0;      // the first entry
  bool constant = true;  // all entries are equal
  double mean = 0;       // over all rows
  double largest = 0;    // |x| of the shifted column
  double length = 0;     // of the shifted column, in units of that
};

// What each part has of the columns `from` to `to`, `width` numbers a column, given to `take` part by part.
void for_parts(const ColumnMatrix& x, int64_t from, int64_t to, size_t width,
               const std::function<void(int64_t j, int64_t begin, int64_t end, double* into)>& of_column,
               const std::function<void(int64_t j, const double* numbers)>& take) {
  const auto count = static_cast<size_t>(to - from);
  const std::vector<double> all =
      x.parts.gather(x.rows, count * width, [&](int64_t first_row, int64_t end_row, std::span<double> into) {
        for (int64_t j = from; j < to; ++j) {
          const auto [begin, end] = x.entries_within(j, first_row, end_row);
          of_column(j, begin, end, into.data() + static_cast<size_t>(j - from) * width);
        }
      });
  for (size_t at = 0; at < all.size(); at += width)
    take(from + static_cast<int64_t>(at / width % count), all.data() + at);
}

void find_entries(const ColumnMatrix& x, int64_t from, int64_t to, std::vector<Column>& columns) {
  enum { entries, first, constant, width };
  for_parts(
      x, from, to, width,
      [&](int64_t, int64_t begin, int64_t end, double* into) {
        into[entries] = static_cast<double>(end - begin);
        if (begin == end) return;
        into[first] = x.values[begin];
        into[constant] = std::all_of(x.values.begin() + begin, x.values.begin() + end,
                                     [&](double value) { return value == x.values[begin]; });
      },
      [&](int64_t j, const double* of_part) {
        Column& column = columns[j];
        if (of_part[entries] == 0) return;
        if (column.entries == 0) column.first = of_part[first];
        column.constant = column.constant && of_part[constant] != 0 && of_part[first] == column.first;
        column.entries += static_cast<int64_t>(of_part[entries]);
      });
}

// As an offset from the first entry: of a constant column it is exact.
void find_means(const ColumnMatrix& x, int64_t from, int64_t to, std::vector<Column>& columns) {
  const auto rows = static_cast<double>(x.parts.all_rows(x.rows));
  std::vector<Twofold> totals(static_cast<size_t>(to - from));
  for_parts(
      x, from, to, 2,
      [&](int64_t j, int64_t begin, int64_t end, double* into) {
        Twofold total;
        for (int64_t k = begin; k < end; ++k) total.add((x.values[k] - columns[j].first) / rows);
        into[0] = total.high, into[1] = total.low;
      },
      [&](int64_t j, const double* of_part) {
        totals[j - from].add(Twofold{of_part[0], of_part[1]});
      });
  for (int64_t j = from; j < to; ++j) {
    Column& column = columns[j];
    Twofold& total = totals[j - from];
    total.add(-column.first * ((rows - static_cast<double>(column.entries)) / rows));
    column.mean = column.first + total.value();
  }
}

// The power of two that brings the length into [1, 2); 1 for a column of zeros.
double unit_of(const Column& column) {
  if (column.largest == 0) return 1;
  constexpr int most = 500;  // so that squares of units are finite
  return std::ldexp(
      1.0, -std::clamp(std::ilogb(column.largest) + std::ilogb(std::sqrt(column.length)), -most, most));
}

void find_lengths(const ColumnMatrix& x, int64_t from, int64_t to, std::vector<Column>& columns) {
  for_parts(
      x, from, to, 1,
      [&](int64_t, int64_t begin, int64_t end, double* into) {
        for (int64_t k = begin; k < end; ++k) into[0] = std::max(into[0], std::abs(x.values[k]));
      },
      [&](int64_t j, const double* of_part) {
        columns[j].largest = std::max(columns[j].largest, of_part[0]);
      });
  for_parts(
      x, from, to, 1,
      [&](int64_t j, int64_t begin, int64_t end, double* into) {
        if (const double largest = columns[j].largest; largest > 0)
          for (int64_t k = begin; k < end; ++k) into[0] += (x.values[k] / largest) * (x.values[k] / largest);
      },
      [&](int64_t j, const double* of_part) { columns[j].length += of_part[0]; });
}

// X_jᵀ·u of some entries, in sums that do not wait for each other.
Twofold product_with(const ColumnMatrix& x, int64_t begin, int64_t end, const double* u) {
  constexpr int64_t side_by_side = 8;
  Twofold sums[side_by_side];
  int64_t k = begin;
  for (; k + side_by_side <= end; k += side_by_side)
    for (int64_t i = 0; i < side_by_side; ++i) sums[i].add_product(x.values[k + i], u[x.entry_rows[k + i]]);
  for (; k < end; ++k) sums[0].add_product(x.values[k], u[x.entry_rows[k]]);
  for (int64_t i = 1; i < side_by_side; ++i) sums[0].add(sums[i]);
  return sums[0];
}

}  // namespace

ConditionedModel::ConditionedModel(const LinearModel& written, const SeparablePenalty& penalty)
    : written_(written) {
  const ColumnMatrix& x = written.matrix;
  const int64_t columns = x.columns(), rows = x.parts.all_rows(x.rows);
  units_.assign(static_cast<size_t>(columns), 1);
  shifts_.assign(static_cast<size_t>(columns), 0);
  std::vector<Column> known(static_cast<size_t>(columns));
  const auto in_turn = [&](const auto& find, const ColumnMatrix& of) {
    for (int64_t from = 0; from < columns; from += columns_at_once)
      find(of, from, std::min(columns, from + columns_at_once), known);
  };
  in_turn(find_entries, x);
  for (int64_t j = 0; j < columns && bias_ < 0; ++j)
    if (penalty.is_free(j) && known[j].constant && known[j].entries == rows && rows > 0) bias_ = j;
  if (bias_ >= 0) {
    bias_entry_ = known[bias_].first;
    in_turn(find_means, x);
  }
  ColumnMatrix& conditioned = model_.matrix;
  conditioned.rows = x.rows;
  conditioned.parts = x.parts;
  model_.offset = written.offset;
  model_.prediction = written.prediction;
  for (int64_t j = 0; j < columns; ++j) {
    const bool shifts = bias_ >= 0 && j != bias_ && 2 * known[j].entries > rows;
    const double shift = shifts_[j] = shifts ? known[j].mean : 0;
    int64_t next = 0;
    const auto push = [&](int64_t row, double value) {
      conditioned.entry_rows.push_back(static_cast<int32_t>(row));
      conditioned.values.push_back(value);
    };
    for (int64_t k = x.starts[j]; k < x.starts[j + 1]; ++k) {
      for (; shift != 0 && next < x.entry_rows[k]; ++next) push(next, -shift);
      push(x.entry_rows[k], x.values[k] - shift);
      next = x.entry_rows[k] + 1;
    }
    for (; shift != 0 && next < x.rows; ++next) push(next, -shift);
    conditioned.starts.push_back(static_cast<int64_t>(conditioned.values.size()));
  }
  in_turn(find_lengths, conditioned);
  for (int64_t j = 0; j < columns; ++j) {
    units_[j] = unit_of(known[j]);
    for (int64_t k = conditioned.starts[j]; k < conditioned.starts[j + 1]; ++k)
      conditioned.values[k] *= units_[j];
  }
}

// (bias + Σ shift_j·w_j / entry), and the other way round with a sign.
double ConditionedModel::bias_shift(std::span<const double> w, double sign) const {
  Twofold total;
  for (size_t j = 0; j < w.size(); ++j)
    if (shifts_[j] != 0 && w[j] != 0) total.add_product(sign * shifts_[j], w[j]);
  return total.value() / bias_entry_;
}

std::vector<double> ConditionedModel::as_written(std::span<const double> v) const {
  std::vector<double> w(v.begin(), v.end());
  for (size_t j = 0; j < w.size(); ++j) w[j] *= units_[j];
  if (bias_ >= 0) w[bias_] += bias_shift(w, -1);
  return w;
}

std::vector<double> ConditionedModel::conditioned(std::span<const double> w) const {
  std::vector<double> v(w.begin(), w.end());
  if (bias_ >= 0) v[bias_] += bias_shift(w, 1);
  for (size_t j = 0; j < v.size(); ++j) v[j] /= units_[j];
  return v;
}

void ConditionedModel::predict(std::span<const double> w, double* z) const {
  const ColumnMatrix& x = written_.matrix;
  std::vector<Twofold> sums(static_cast<size_t>(x.rows));
  for (int64_t r = 0; r < x.rows; ++r) sums[r].high = written_.offset[r];
  for (int64_t j = 0; j < x.columns(); ++j)
    if (w[j] != 0)
      for (int64_t k = x.starts[j]; k < x.starts[j + 1]; ++k)
        sums[x.entry_rows[k]].add_product(x.values[k], w[j]);
  for (int64_t r = 0; r < x.rows; ++r) z[r] = sums[r].value();
}

std::vector<Twofold> ConditionedModel::exact_slopes(const double* u, const ParallelFor& parallel) const {
  const ColumnMatrix& x = written_.matrix;
  const int64_t columns = x.columns();
  std::vector<Twofold> totals(static_cast<size_t>(columns));
  constexpr int64_t entries_per_task = 4096;
  const int64_t columns_per_task =
      1 + entries_per_task / (1 + x.starts.back() / std::max<int64_t>(1, columns));
  for (int64_t from = 0; from < columns; from += columns_at_once) {
    const int64_t count = std::min(columns - from, columns_at_once);
    const std::vector<double> all =
        x.parts.gather(x.rows, static_cast<size_t>(2 * count),
                       [&](int64_t first_row, int64_t end_row, std::span<double> to) {
                         parallel.run(count, columns_per_task, [&](int64_t begin, int64_t end) {
                           for (int64_t c = begin; c < end; ++c) {
                             const auto [first, last] = x.entries_within(from + c, first_row, end_row);
                             const Twofold sum = product_with(x, first, last, u);
                             to[2 * c] = sum.high, to[2 * c + 1] = sum.low;
                           }
                         });
                       });
    for (size_t at = 0; at < all.size(); at += 2)
      totals[from + static_cast<int64_t>(at / 2) % count].add(Twofold{all[at], all[at + 1]});
  }
  return totals;
}

void ConditionedModel::slopes(const double* u, std::span<double> to, const ParallelFor& parallel) const {
  const RowParts& parts = written_.matrix.parts;
  const int64_t rows = written_.matrix.rows;
  const std::vector<double> sums =
      parts.gather(rows, 2, [&](int64_t begin, int64_t end, std::span<double> of) {
        Twofold sum;
        for (int64_t row = begin; row < end; ++row) sum.add(u[row]);
        of[0] = sum.high, of[1] = sum.low;
      });
  Twofold sum;
  for (size_t at = 0; at < sums.size(); at += 2) sum.add(Twofold{sums[at], sums[at + 1]});
  std::vector<Twofold> totals = exact_slopes(u, parallel);
  for (size_t j = 0; j < totals.size(); ++j) {
    if (shifts_[j] != 0) totals[j].add_product(-shifts_[j], sum);
    to[j] = totals[j].value() * units_[j];
  }
}

void ConditionedModel::written_slopes(const double* u, std::span<double> to,
                                      const ParallelFor& parallel) const {
  const std::vector<Twofold> totals = exact_slopes(u, parallel);
  for (size_t j = 0; j < totals.size(); ++j) to[j] = totals[j].value();
}

}  // namespace lariat::convex
