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
  double first = 0;             // the first entry
  bool constant = true;         // all entries are equal
  double largest = 0;           // |x|
  double mean = 0;              // over all rows
  double sum = 0, squares = 0;  // of x in units of the largest
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

// By so many columns at once as ranks may send.
void in_turn(void find(const ColumnMatrix&, int64_t, int64_t, std::vector<Column>&), const ColumnMatrix& x,
             std::vector<Column>& columns) {
  for (int64_t from = 0; from < x.columns(); from += columns_at_once)
    find(x, from, std::min(x.columns(), from + columns_at_once), columns);
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
      x, from, to, 2,
      [&](int64_t j, int64_t begin, int64_t end, double* into) {
        const double largest = columns[j].largest;
        for (int64_t k = begin; largest > 0 && k < end; ++k) {
          const double value = x.values[k] / largest;
          into[0] += value;
          into[1] += value * value;
        }
      },
      [&](int64_t j, const double* of_part) {
        columns[j].sum += of_part[0];
        columns[j].squares += of_part[1];
      });
}

std::vector<Column> lengths_of(const ColumnMatrix& x) {
  std::vector<Column> columns(static_cast<size_t>(x.columns()));
  in_turn(find_lengths, x, columns);
  return columns;
}

// The power of two that brings the length into [1, 2); 1 for a column of zeros.
double unit_of(const Column& column) {
  if (column.largest == 0) return 1;
  constexpr int most = 500;  // so that squares of units are finite
  return std::ldexp(
      1.0, -std::clamp(std::ilogb(column.largest) + std::ilogb(std::sqrt(column.squares)), -most, most));
}

// Squares of deviations from the mean, relative to it.
void find_spreads(const ColumnMatrix& x, int64_t from, int64_t to, std::vector<Column>& columns) {
  for_parts(
      x, from, to, 1,
      [&](int64_t j, int64_t begin, int64_t end, double* into) {
        for (int64_t k = begin; k < end; ++k) {
          const double off = x.values[k] / columns[j].mean - 1;
          into[0] += off * off;
        }
      },
      [&](int64_t j, const double* of_part) { columns[j].squares += of_part[0]; });
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
  std::vector<Column> known = lengths_of(x);
  in_turn(find_entries, x, known);
  // (Σx)²/(n·Σx²) is the square of the cosine of the angle to a constant column.
  double most = 0.5;
  for (int64_t j = 0; j < columns; ++j) {
    const Column& column = known[j];
    if (!penalty.is_free(j) || column.largest == 0) continue;
    const bool bias = column.constant && column.entries == rows;
    const double constancy = column.sum * column.sum / (column.squares * static_cast<double>(rows));
    if (!bias && !(constancy > most)) continue;
    most = constancy;
    pivot_ = j;
    if (bias) break;
  }
  std::vector<double> pivot(pivot_ < 0 ? 0 : static_cast<size_t>(x.rows));
  if (pivot_ >= 0) {
    in_turn(find_means, x, known);
    x.add_column(pivot_, 1, pivot.data());
  }
  ColumnMatrix& conditioned = model_.matrix;
  conditioned.rows = x.rows;
  conditioned.parts = x.parts;
  model_.offset = written.offset;
  model_.prediction = written.prediction;
  for (int64_t j = 0; j < columns; ++j) {
    const bool shifts = pivot_ >= 0 && j != pivot_ && 2 * known[j].entries > rows;
    const double shift = shifts_[j] = shifts ? known[j].mean / known[pivot_].mean : 0;
    int64_t next = 0;
    const auto push = [&](int64_t row, double value) {
      const double taken = shift == 0 ? 0 : shift * pivot[row];
      // What rounding of the shift leaves of a value is nothing.
      constexpr double rounding = 0x1p-51;
      if (shift != 0)
        value =
            std::abs(value - taken) <= rounding * std::abs(taken) ? 0 : std::fma(-shift, pivot[row], value);
      conditioned.entry_rows.push_back(static_cast<int32_t>(row));
      conditioned.values.push_back(value);
    };
    for (int64_t k = x.starts[j]; k < x.starts[j + 1]; ++k) {
      for (; shift != 0 && next < x.entry_rows[k]; ++next) push(next, 0);
      push(x.entry_rows[k], x.values[k]);
      next = x.entry_rows[k] + 1;
    }
    for (; shift != 0 && next < x.rows; ++next) push(next, 0);
    conditioned.starts.push_back(static_cast<int64_t>(conditioned.values.size()));
  }
  const std::vector<Column> lengths = lengths_of(conditioned);
  for (int64_t j = 0; j < columns; ++j) {
    units_[j] = unit_of(lengths[j]);
    for (int64_t k = conditioned.starts[j]; k < conditioned.starts[j + 1]; ++k)
      conditioned.values[k] *= units_[j];
  }
}

// Σ shift_j·w_j, with a sign.
double ConditionedModel::pivot_shift(std::span<const double> w, double sign) const {
  Twofold total;
  for (size_t j = 0; j < w.size(); ++j)
    if (shifts_[j] != 0 && w[j] != 0) total.add_product(sign * shifts_[j], w[j]);
  return total.value();
}

std::vector<double> ConditionedModel::as_written(std::span<const double> v) const {
  std::vector<double> w(v.begin(), v.end());
  for (size_t j = 0; j < w.size(); ++j) w[j] *= units_[j];
  if (pivot_ >= 0) w[pivot_] += pivot_shift(w, -1);
  return w;
}

std::vector<double> ConditionedModel::conditioned(std::span<const double> w) const {
  std::vector<double> v(w.begin(), w.end());
  if (pivot_ >= 0) v[pivot_] += pivot_shift(w, 1);
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
  std::vector<Twofold> totals = exact_slopes(u, parallel);
  const Twofold pivot = pivot_ < 0 ? Twofold{} : totals[pivot_];
  for (size_t j = 0; j < totals.size(); ++j) {
    if (shifts_[j] != 0) totals[j].add_product(-shifts_[j], pivot);
    to[j] = totals[j].value() * units_[j];
  }
}

void ConditionedModel::written_slopes(const double* u, std::span<double> to,
                                      const ParallelFor& parallel) const {
  const std::vector<Twofold> totals = exact_slopes(u, parallel);
  for (size_t j = 0; j < totals.size(); ++j) to[j] = totals[j].value();
}

std::vector<int64_t> ConditionedModel::far_from_centred() const {
  constexpr double far = 1e5;
  const ColumnMatrix& x = written_.matrix;
  const auto rows = static_cast<double>(x.parts.all_rows(x.rows));
  std::vector<Column> known(static_cast<size_t>(x.columns()));
  in_turn(find_entries, x, known);
  in_turn(find_means, x, known);
  in_turn(find_spreads, x, known);
  std::vector<int64_t> columns;
  for (int64_t j = 0; j < x.columns(); ++j) {
    if (j == pivot_ || shifts_[j] != 0 || static_cast<double>(known[j].entries) != rows || rows == 0)
      continue;
    if (far * std::sqrt(known[j].squares / rows) < 1) columns.push_back(j);
  }
  return columns;
}

}  // namespace lariat::convex
