#include "autodiff/convex/coordinate_descent.hpp"

#include <algorithm>
#include <limits>

namespace lariat::convex {

namespace {

// Keeps coordinates without curvature in place; relative to the largest diagonal element.
constexpr double ridge = 1e-12;

// XᵀDX in full, and q = g + XᵀDX·d kept up to date.
class GramModel {
 public:
  GramModel(const QuadraticModel& model, Gram gram, std::span<const double> start)
      : model_(model), gram_(std::move(gram)) {
    double largest = 0;
    for (int64_t k = 0; k < gram_.size(); ++k) {
      slope_.push_back(model.gradient[model.set[k]]);
      largest = std::max(largest, gram_.at(k, k));
    }
    ridge_ = ridge * std::max(largest, 1e-12);
    for (int64_t k = 0; k < gram_.size(); ++k)
      if (const double by = start[k] - model.weights[model.set[k]]; by != 0) move(k, by);
  }

  double curvature(int64_t k) const { return gram_.at(k, k) + ridge_; }
  double slope(int64_t k) const { return slope_[k]; }
  void move(int64_t k, double by) {
    const double* row = gram_.row(k);
    double* slope = slope_.data();
    for (int64_t i = 0; i < gram_.size(); ++i) slope[i] += by * row[i];
  }

  // How many sweeps over `support` coordinates cost about as much as an exact step on them.
  static int64_t sweeps_worth(int64_t support) { return 3 + support / 30; }

  // Newton's step on the coordinates that are not zero, as far as the first of them reaches zero; exact
  // there, since h is smooth between. False where that does not lower the model.
  bool exact_step(std::vector<double>& weights) {
    std::vector<int64_t> support;
    for (int64_t k = 0; k < gram_.size(); ++k)
      if (weights[k] != 0) support.push_back(k);
    const size_t n = support.size();
    if (n == 0) return false;
    std::vector<double> hessian(n * n), step(n);
    for (size_t a = 0; a < n; ++a) {
      const int64_t k = support[a];
      const Derivatives h = model_.penalty.derivatives(model_.set[k], weights[k]);
      for (size_t b = 0; b < n; ++b) hessian[a * n + b] = gram_.at(k, support[b]);
      hessian[a * n + a] += h.second + ridge_;
      step[a] = -(slope_[k] + h.first);
    }
    if (!solve_positive(hessian, step)) return false;
    double length = 1;
    size_t first = n;
    for (size_t a = 0; a < n; ++a) {
      const double w = weights[support[a]];
      const bool selects = model_.penalty.selects(model_.set[support[a]]);
      if (selects && w * (w + step[a]) < 0 && -w / step[a] < length) {
        length = -w / step[a];
        first = a;
      }
    }
    std::vector<double> moved = slope_;
    double change = 0;
    for (size_t a = 0; a < n; ++a) {
      const double by = length * step[a];
      const double* row = gram_.row(support[a]);
      for (int64_t i = 0; i < gram_.size(); ++i) moved[i] += by * row[i];
      const int64_t j = model_.set[support[a]];
      const double w = weights[support[a]], after = a == first ? 0 : w + by;
      change += model_.penalty.value(j, after) - model_.penalty.value(j, w);
    }
    // q·d + ½ dᵀHd = ½ (q + q')·d
    for (size_t a = 0; a < n; ++a)
      change += 0.5 * length * step[a] * (slope_[support[a]] + moved[support[a]]);
    if (!(change < 0)) return false;
    for (size_t a = 0; a < n; ++a)
      weights[support[a]] = a == first ? 0 : weights[support[a]] + length * step[a];
    slope_ = std::move(moved);
    return true;
  }

 private:
  const QuadraticModel& model_;
  Gram gram_;
  double ridge_ = 0;
  std::vector<double> slope_;
};

// The columns of X and D·X·d.
class ColumnModel {
 public:
  explicit ColumnModel(const QuadraticModel& model)
      : model_(model), product_(static_cast<size_t>(model.matrix.rows)) {
    double largest = 0;
    for (const int64_t j : model.set) {
      const ColumnMatrix& x = model.matrix;
      double sum = 0;
      for (int64_t k = x.starts[j]; k < x.starts[j + 1]; ++k)
        sum += x.values[k] * x.values[k] * model.curvature[x.entry_rows[k]];
      diagonal_.push_back(sum);
      largest = std::max(largest, sum);
    }
    for (double& value : diagonal_) value += ridge * std::max(largest, 1e-12);
  }
  double curvature(int64_t k) const { return diagonal_[k]; }
  double slope(int64_t k) const {
    const int64_t j = model_.set[k];
    return model_.gradient[j] + model_.matrix.dot(j, product_.data());
  }
  void move(int64_t k, double by) {
    const ColumnMatrix& x = model_.matrix;
    const int64_t j = model_.set[k];
    for (int64_t e = x.starts[j]; e < x.starts[j + 1]; ++e)
      product_[x.entry_rows[e]] += by * x.values[e] * model_.curvature[x.entry_rows[e]];
  }
  static int64_t sweeps_worth(int64_t) { return std::numeric_limits<int64_t>::max(); }
  bool exact_step(std::vector<double>&) { return false; }

 private:
  const QuadraticModel& model_;
  std::vector<double> product_, diagonal_;
};

// Whether `weights` settled.
template <class Model>
bool sweep(const QuadraticModel& problem, Model model, double tolerance, int most_sweeps,
           std::vector<double>& weights) {
  const auto size = static_cast<int64_t>(problem.set.size());
  // Coordinates that a sweep leaves at zero wait until those that move have settled.
  std::vector<int64_t> all(problem.set.size()), moving;
  for (int64_t k = 0; k < size; ++k) all[k] = k;
  bool whole = true;
  int64_t unsettled = 0;
  for (int count = 0; count < most_sweeps; ++count) {
    const std::vector<int64_t>& visited = whole ? all : moving;
    std::vector<int64_t> next;
    double worst = 0;
    for (const int64_t k : visited) {
      const int64_t j = problem.set[k];
      const double curvature = model.curvature(k), before = weights[k];
      const double after = problem.penalty.prox(j, before - model.slope(k) / curvature, 1 / curvature);
      const double by = after - before;
      if (by != 0) {
        model.move(k, by);
        weights[k] = after;
        worst = std::max(worst, std::abs(by) * curvature);
      }
      if (whole && (by != 0 || after != 0)) next.push_back(k);
    }
    if (whole) moving = std::move(next);
    if (worst > tolerance) {
      whole = false;
      if (++unsettled >= Model::sweeps_worth(static_cast<int64_t>(moving.size()))) {
        constexpr int most_exact = 10;
        for (int i = 0; i < most_exact && model.exact_step(weights); ++i) continue;
        unsettled = 0;
      }
    } else if (whole) {
      return true;
    } else {
      whole = true;
    }
  }
  return false;
}

}  // namespace

std::vector<double> descend(const QuadraticModel& model, double tolerance, int most_sweeps, GramCache& cache,
                            const ParallelFor& parallel) {
  constexpr double largest_gram = 3000;
  constexpr int few_sweeps = 30;
  const auto size = static_cast<double>(model.set.size());
  std::vector<double> weights;
  double entries = 0;
  for (const int64_t j : model.set) {
    weights.push_back(model.weights[j]);
    entries += static_cast<double>(model.matrix.entries(j));
  }
  // Filling XᵀDX takes about entries²/rows steps; a sweep over columns touches each entry twice, at random.
  const double gram = entries * entries / static_cast<double>(std::max<int64_t>(1, model.matrix.rows)) +
                      few_sweeps * size * size / 4;
  const bool small = size <= largest_gram;
  if (!small || gram > 4 * few_sweeps * entries) {
    // What does not settle soon is ill-conditioned, and exact steps are worth their price.
    const bool settled =
        sweep(model, ColumnModel(model), tolerance, small ? few_sweeps : most_sweeps, weights);
    if (settled || !small) return weights;
  }
  sweep(model, GramModel(model, cache.get(model.matrix, model.set, model.curvature, parallel), weights),
        tolerance, most_sweeps, weights);
  return weights;
}

}  // namespace lariat::convex
