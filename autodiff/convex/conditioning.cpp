#include "autodiff/convex/conditioning.hpp"

#include <algorithm>

namespace lariat::convex {

namespace {

bool is_constant(const ColumnMatrix& x, int64_t j) {
  if (x.entries(j) != x.rows || x.rows == 0) return false;
  const auto begin = x.values.begin() + x.starts[j];
  return std::all_of(begin, begin + x.rows, [&](double value) { return value == *begin; });
}

// The mean over all rows, as an offset from the first entry: of a constant column it is exact.
double mean_of(const ColumnMatrix& x, int64_t j) {
  const double first = x.values[x.starts[j]], rows = static_cast<double>(x.rows);
  Twofold total;
  for (int64_t k = x.starts[j]; k < x.starts[j + 1]; ++k) total.add((x.values[k] - first) / rows);
  total.add(-first * ((rows - static_cast<double>(x.entries(j))) / rows));
  return first + total.value();
}

// The power of two that brings the length into [1, 2); 1 for a column of zeros.
double unit_of(std::span<const double> column) {
  double largest = 0, squares = 0;
  for (const double value : column) largest = std::max(largest, std::abs(value));
  if (largest == 0) return 1;
  for (const double value : column) squares += (value / largest) * (value / largest);
  constexpr int most = 500;  // so that squares of units are finite
  return std::ldexp(1.0, -std::clamp(std::ilogb(largest) + std::ilogb(std::sqrt(squares)), -most, most));
}

// X_jᵀ·u, in sums that do not wait for each other.
Twofold product_with(const ColumnMatrix& x, int64_t j, const double* u) {
  constexpr int64_t side_by_side = 8;
  Twofold sums[side_by_side];
  int64_t k = x.starts[j];
  for (; k + side_by_side <= x.starts[j + 1]; k += side_by_side)
    for (int64_t i = 0; i < side_by_side; ++i) sums[i].add_product(x.values[k + i], u[x.entry_rows[k + i]]);
  for (; k < x.starts[j + 1]; ++k) sums[0].add_product(x.values[k], u[x.entry_rows[k]]);
  for (int64_t i = 1; i < side_by_side; ++i) sums[0].add(sums[i]);
  return sums[0];
}

// (Σx)²/(n·Σx²), the square of the cosine of the angle to a constant column.
double constancy_of(const ColumnMatrix& x, int64_t j) {
  double largest = 0, sum = 0, squares = 0;
  for (int64_t k = x.starts[j]; k < x.starts[j + 1]; ++k) largest = std::max(largest, std::abs(x.values[k]));
  if (largest == 0) return 0;
  for (int64_t k = x.starts[j]; k < x.starts[j + 1]; ++k) {
    const double value = x.values[k] / largest;
    sum += value;
    squares += value * value;
  }
  return sum * sum / (squares * static_cast<double>(x.rows));
}

}  // namespace

void ConditionedModel::find_pivot(const SeparablePenalty& penalty) {
  const ColumnMatrix& x = written_.matrix;
  double most = 0.5;
  for (int64_t j = 0; j < x.columns(); ++j) {
    if (!penalty.is_free(j)) continue;
    if (is_constant(x, j)) {
      pivot_ = j;
      return;
    }
    if (const double constancy = constancy_of(x, j); constancy > most) {
      most = constancy;
      pivot_ = j;
    }
  }
}

ConditionedModel::ConditionedModel(const LinearModel& written, const SeparablePenalty& penalty)
    : written_(written) {
  const ColumnMatrix& x = written.matrix;
  const int64_t columns = x.columns();
  units_.assign(static_cast<size_t>(columns), 1);
  shifts_.assign(static_cast<size_t>(columns), 0);
  find_pivot(penalty);
  std::vector<double> pivot(pivot_ < 0 ? 0 : static_cast<size_t>(x.rows));
  if (pivot_ >= 0) x.add_column(pivot_, 1, pivot.data());
  const double pivot_mean = pivot_ < 0 ? 1 : mean_of(x, pivot_);
  ColumnMatrix& conditioned = model_.matrix;
  conditioned.rows = x.rows;
  model_.offset = written.offset;
  model_.prediction = written.prediction;
  for (int64_t j = 0; j < columns; ++j) {
    const size_t begin = conditioned.values.size();
    const bool shifts = pivot_ >= 0 && j != pivot_ && 2 * x.entries(j) > x.rows;
    const double shift = shifts_[j] = shifts ? mean_of(x, j) / pivot_mean : 0;
    int64_t next = 0;
    const auto push = [&](int64_t row, double value) {
      const double taken = shift * pivot[row];
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
    const std::span column(conditioned.values.data() + begin, conditioned.values.size() - begin);
    units_[j] = unit_of(column);
    for (double& value : column) value *= units_[j];
    conditioned.starts.push_back(static_cast<int64_t>(conditioned.values.size()));
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

Twofold ConditionedModel::pivot_slope(const double* u) const {
  return pivot_ < 0 ? Twofold{} : product_with(written_.matrix, pivot_, u);
}

double ConditionedModel::slope(int64_t j, const double* u, const Twofold& pivot) const {
  Twofold total = product_with(written_.matrix, j, u);
  if (shifts_[j] != 0) total.add_product(-shifts_[j], pivot);
  return total.value() * units_[j];
}

double ConditionedModel::written_slope(int64_t j, const double* u) const {
  return product_with(written_.matrix, j, u).value();
}

std::vector<int64_t> ConditionedModel::far_from_centred() const {
  constexpr double far = 1e5;
  std::vector<int64_t> columns;
  const ColumnMatrix& x = written_.matrix;
  for (int64_t j = 0; j < x.columns(); ++j) {
    if (j == pivot_ || shifts_[j] != 0 || x.entries(j) != x.rows || x.rows == 0) continue;
    const double mean = mean_of(x, j);
    double squares = 0;  // of deviations relative to the mean
    for (int64_t k = x.starts[j]; k < x.starts[j + 1]; ++k) {
      const double off = x.values[k] / mean - 1;
      squares += off * off;
    }
    if (far * std::sqrt(squares / static_cast<double>(x.rows)) < 1) columns.push_back(j);
  }
  return columns;
}

}  // namespace lariat::convex
