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

}  // namespace

ConditionedModel::ConditionedModel(const LinearModel& written, const SeparablePenalty& penalty)
    : written_(written) {
  const ColumnMatrix& x = written.matrix;
  const int64_t columns = x.columns();
  units_.assign(static_cast<size_t>(columns), 1);
  shifts_.assign(static_cast<size_t>(columns), 0);
  for (int64_t j = 0; j < columns && bias_ < 0; ++j)
    if (penalty.is_free(j) && is_constant(x, j)) bias_ = j;
  if (bias_ >= 0) bias_entry_ = x.values[x.starts[bias_]];
  ColumnMatrix& conditioned = model_.matrix;
  conditioned.rows = x.rows;
  model_.offset = written.offset;
  model_.prediction = written.prediction;
  for (int64_t j = 0; j < columns; ++j) {
    const size_t begin = conditioned.values.size();
    const bool shifts = bias_ >= 0 && j != bias_ && 2 * x.entries(j) > x.rows;
    const double shift = shifts_[j] = shifts ? mean_of(x, j) : 0;
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
    const std::span column(conditioned.values.data() + begin, conditioned.values.size() - begin);
    units_[j] = unit_of(column);
    for (double& value : column) value *= units_[j];
    conditioned.starts.push_back(static_cast<int64_t>(conditioned.values.size()));
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

double ConditionedModel::slope(int64_t j, const double* u, const Twofold& sum) const {
  Twofold total = product_with(written_.matrix, j, u);
  if (shifts_[j] != 0) total.add_product(-shifts_[j], sum);
  return total.value() * units_[j];
}

double ConditionedModel::written_slope(int64_t j, const double* u) const {
  return product_with(written_.matrix, j, u).value();
}

}  // namespace lariat::convex
