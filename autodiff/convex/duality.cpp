#include "autodiff/convex/duality.hpp"

#include <algorithm>
#include <cmath>

namespace lariat::convex {

namespace {

// How far a dual point may be outside by rounding alone.
constexpr double rounding = 1e-11;

// Solves the symmetric a·x = b in place by Gaussian elimination with pivoting; false where a is singular.
bool solve_small(std::vector<double> a, std::vector<double>& b) {
  const size_t n = b.size();
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k + 1; i < n; ++i)
      if (std::abs(a[i * n + k]) > std::abs(a[pivot * n + k])) pivot = i;
    if (a[pivot * n + k] == 0) return false;
    for (size_t j = 0; j < n; ++j) std::swap(a[k * n + j], a[pivot * n + j]);
    std::swap(b[k], b[pivot]);
    for (size_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (size_t j = k; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
      b[i] -= factor * b[k];
    }
  }
  for (size_t k = n; k-- > 0;) {
    for (size_t j = k + 1; j < n; ++j) b[k] -= a[k * n + j] * b[j];
    b[k] /= a[k * n + k];
  }
  return true;
}

// Whether the free coordinates' gradients are zero to rounding.
bool centred(const ColumnMatrix& x, std::span<const int64_t> free, const double* slope) {
  for (const int64_t j : free) {
    double magnitude = 0;
    for (int64_t k = x.starts[j]; k < x.starts[j + 1]; ++k)
      magnitude += std::abs(x.values[k] * slope[x.entry_rows[k]]);
    if (std::abs(x.dot(j, slope)) > rounding * magnitude) return false;
  }
  return true;
}

// Newton's method along the free coordinates.
std::optional<RowLoss::Point> centre(const ColumnMatrix& x, RowLoss& loss, std::span<const int64_t> free,
                                     Tensor& z, RowLoss::Point point) {
  constexpr int most_steps = 20;
  constexpr size_t most_free = 64;
  if (free.size() > most_free) return std::nullopt;
  for (int step = 0; step < most_steps; ++step) {
    if (centred(x, free, point.slope.data<double>())) return point;
    std::vector<double> hessian, move;
    for (const int64_t a : free) {
      std::vector<double> weighted(static_cast<size_t>(x.rows));
      for (int64_t k = x.starts[a]; k < x.starts[a + 1]; ++k)
        weighted[x.entry_rows[k]] = x.values[k] * point.curvature.data<double>()[x.entry_rows[k]];
      for (const int64_t b : free) hessian.push_back(x.dot(b, weighted.data()));
      move.push_back(-x.dot(a, point.slope.data<double>()));
    }
    if (!solve_small(std::move(hessian), move)) return std::nullopt;
    for (size_t i = 0; i < free.size(); ++i) x.add_column(free[i], move[i], z.data<double>());
    point = loss.at(z);
  }
  return std::nullopt;
}

// The largest c in [0, 1] with −c·g_j in the domain of every h_j*.
double feasible_scale(const SeparablePenalty& penalty, std::span<const int64_t> among,
                      std::span<const double> g) {
  double scale = 1;
  for (const int64_t j : among) {
    const Interval domain = penalty.conjugate_domain(j);
    if (domain.low == 0 && domain.high == 0) continue;
    if (-g[j] > domain.high) scale = std::min(scale, domain.high / -g[j]);
    if (-g[j] < domain.low) scale = std::min(scale, domain.low / -g[j]);
  }
  return scale;
}

}  // namespace

void products(const ColumnMatrix& matrix, const double* d, std::span<const int64_t> set, std::span<double> g,
              const ParallelFor& parallel) {
  constexpr int64_t entries_per_task = 16384;
  const auto count = static_cast<int64_t>(set.size());
  const int64_t each = 1 + matrix.starts.back() / std::max<int64_t>(1, matrix.columns());
  parallel.run(count, 1 + entries_per_task / each, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) g[set[k]] = matrix.dot(set[k], d);
  });
}

Tensor prediction_of(const LinearModel& model, std::span<const double> w, const RowLoss& loss) {
  Tensor z = loss.zeros();
  std::copy(model.offset.begin(), model.offset.end(), z.data<double>());
  for (size_t j = 0; j < w.size(); ++j)
    if (w[j] != 0) model.matrix.add_column(static_cast<int64_t>(j), w[j], z.data<double>());
  return z;
}

std::optional<double> duality_gap(const LinearModel& model, RowLoss& loss, const SeparablePenalty& penalty,
                                  std::span<const int64_t> all, std::span<const double> w, const Tensor& z,
                                  const RowLoss::Point& at, std::span<const double> gradient, bool even_far,
                                  const ParallelFor& parallel) {
  // A slope that has to be scaled by less belongs to a gap of some percent.
  constexpr double near = 0.97;
  const ColumnMatrix& x = model.matrix;
  std::vector<int64_t> free;
  for (const int64_t j : all)
    if (penalty.is_free(j) && x.entries(j) > 0) free.push_back(j);
  if (!even_far && feasible_scale(penalty, all, gradient) < near) return std::nullopt;
  Tensor dual_z = z.clone();
  std::optional<RowLoss::Point> dual = at;
  std::vector<double> g(gradient.begin(), gradient.end());
  if (!centred(x, free, at.slope.data<double>())) {
    dual = centre(x, loss, free, dual_z, at);
    if (!dual) return std::nullopt;
    products(x, dual->slope.data<double>(), all, g, parallel);
  }
  // A little inside, for the slopes are only reached to rounding; further where that does not do.
  double margin = 0.1 * rounding;
  for (int attempt = 0;; ++attempt, margin *= 100) {
    const double feasible = feasible_scale(penalty, all, g);
    if (feasible > 1 - (attempt > 0 ? rounding : 0)) break;
    if (attempt == 3) return std::nullopt;
    const double scale = feasible * (1 - margin);
    std::vector<double> wanted(dual->slope.data<double>(), dual->slope.data<double>() + z.count());
    for (double& slope : wanted) slope *= scale;
    dual = loss.with_slopes(dual_z, std::move(*dual), wanted);
    if (!dual) return std::nullopt;
    products(x, dual->slope.data<double>(), all, g, parallel);
  }
  const double *from = z.data<double>(), *to = dual_z.data<double>(), *u = dual->slope.data<double>();
  double gap = at.value - dual->value;
  for (int64_t i = 0; i < z.count(); ++i) gap -= u[i] * (from[i] - to[i]);
  for (const int64_t j : all)
    if (!penalty.is_free(j)) gap += penalty.value(j, w[j]) + penalty.conjugate(j, -g[j]) + w[j] * g[j];
  return std::max(gap, 0.0);
}

}  // namespace lariat::convex
