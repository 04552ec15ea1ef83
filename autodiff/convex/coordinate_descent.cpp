#include "autodiff/convex/coordinate_descent.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lariat::convex {

namespace {

// Keeps coordinates without curvature in place; relative to the column's own curvature, and where it has next
// to none, to the largest.
constexpr double ridge = 1e-13, least_ridge = 1e-19;

double ridge_of(double curvature, double largest) {
  return std::max({ridge * curvature, least_ridge * largest, 1e-300});
}

// The coordinates that are not zero, or not held there by a kink, with h' and h'' at their weights.
struct Support {
  std::vector<int64_t> places;  // in the set
  std::vector<double> first, second;

  Support(const QuadraticModel& model, std::span<const double> weights) {
    for (size_t k = 0; k < weights.size(); ++k) {
      const int64_t j = model.set[k];
      if (weights[k] == 0 && model.penalty.selects(j)) continue;
      const Derivatives h = model.penalty.derivatives(j, weights[k]);
      places.push_back(static_cast<int64_t>(k));
      first.push_back(h.first);
      second.push_back(h.second);
    }
  }
  size_t size() const { return places.size(); }
};

// What became of an exact step: it did not lower the model, or went all the way, or to a zero.
enum class Exact { none, whole, cut };

// Weights of the support, and whether all of the step to a goal was gone.
struct Candidate {
  std::vector<double> weights;
  Exact kind = Exact::whole;
};

// Two ways towards a goal beyond which some coordinates with a kink change their sign: as far as the first of
// them reaches zero, and all the way with zeros for these.
std::vector<Candidate> candidates_for(const QuadraticModel& model, const Support& support,
                                      std::span<const double> weights, std::span<const double> goal) {
  double length = 1;
  size_t first = SIZE_MAX;
  Candidate clipped{{goal.begin(), goal.end()}};
  for (size_t a = 0; a < support.size(); ++a) {
    const double w = weights[support.places[a]];
    if (!model.penalty.selects(model.set[support.places[a]]) || w * goal[a] >= 0) continue;
    clipped.weights[a] = 0;
    clipped.kind = Exact::cut;
    if (const double reach = w / (w - goal[a]); reach < length) {
      length = reach;
      first = a;
    }
  }
  if (first == SIZE_MAX) return {clipped};
  Candidate cut{std::vector<double>(goal.size()), Exact::cut};
  for (size_t a = 0; a < support.size(); ++a) {
    const double w = weights[support.places[a]];
    cut.weights[a] = a == first ? 0 : w + length * (goal[a] - w);
  }
  return {clipped, cut};
}

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
    for (int64_t k = 0; k < gram_.size(); ++k) ridge_.push_back(ridge_of(gram_.at(k, k), largest));
    for (int64_t k = 0; k < gram_.size(); ++k)
      if (const double by = start[k] - model.weights[model.set[k]]; by != 0) move(k, by);
  }

  double curvature(int64_t k) const { return gram_.at(k, k) + ridge_[k]; }
  double slope(int64_t k) const { return slope_[k]; }
  void move(int64_t k, double by) {
    const double* row = gram_.row(k);
    double* slope = slope_.data();
    for (int64_t i = 0; i < gram_.size(); ++i) slope[i] += by * row[i];
  }

  // How many sweeps over `support` coordinates cost about as much as an exact step on them.
  static int64_t sweeps_worth(int64_t support) { return 3 + support / 30; }
  static constexpr int most_exact = 50;

  // Newton's step on the support, as far as the first coordinate reaches zero; exact there, since h is smooth
  // between. Columns that depend on each other need more of a ridge than others: along what they have in
  // common the step is as long as the ridge lets it be, and rounding grows with it.
  Exact exact_step(std::vector<double>& weights) {
    const Support support(model_, weights);
    if (support.size() == 0) return Exact::none;
    for (double more = 1; more < 1e10; more *= 1e3) {
      const std::vector<double> goal = newton_goal(support, weights, more);
      if (goal.empty()) continue;
      if (const Exact taken = take_better(support, goal, weights); taken != Exact::none) return taken;
    }
    return Exact::none;
  }

  // The optimum of the support, then the zero that is furthest from stationary joins it, until none is off by
  // more than `tolerance` (Lee, Battle, Raina and Ng 2007, feature-sign search). Where columns nearly repeat
  // each other, sweeps take them up and drop them for ever.
  bool search_support(double tolerance, std::vector<double>& weights) {
    constexpr double most_work = 1e9;
    double work = 0;
    while (work < most_work) {
      for (int64_t i = 0; i <= gram_.size() && exact_step(weights) == Exact::cut; ++i) work += gram_work();
      work += gram_work();
      int64_t next = -1, support = 0;
      double worst = tolerance, unsettled = 0;
      for (int64_t k = 0; k < gram_.size(); ++k) {
        const int64_t j = model_.set[k];
        const double off = model_.penalty.distance(j, weights[k], -slope_[k]);
        support += weights[k] != 0;
        if (weights[k] != 0 || !model_.penalty.selects(j)) {
          unsettled = std::max(unsettled, off);
        } else if (off > worst) {
          worst = off;
          next = k;
        }
      }
      if (next < 0) return unsettled <= tolerance;
      work += std::pow(static_cast<double>(support), 3);
      const double joined =
          model_.penalty.prox(model_.set[next], -slope_[next] / curvature(next), 1 / curvature(next));
      if (joined == 0) return false;
      move(next, joined);
      weights[next] = joined;
    }
    return false;
  }

 private:
  double gram_work() const { return static_cast<double>(gram_.size() * gram_.size()); }

  std::vector<double> newton_goal(const Support& support, std::span<const double> weights,
                                  double more) const {
    const size_t n = support.size();
    std::vector<double> hessian(n * n), goal(n);
    for (size_t a = 0; a < n; ++a) {
      const int64_t k = support.places[a];
      for (size_t b = 0; b < n; ++b) hessian[a * n + b] = gram_.at(k, support.places[b]);
      hessian[a * n + a] += support.second[a] + more * ridge_[k];
      goal[a] = -(slope_[k] + support.first[a]);
    }
    if (!solve_positive(hessian, goal)) return {};
    for (size_t a = 0; a < n; ++a) goal[a] += weights[support.places[a]];
    return goal;
  }

  Exact take_better(const Support& support, std::span<const double> goal, std::vector<double>& weights) {
    double best = 0;
    Exact taken = Exact::none;
    std::vector<double> best_weights, best_slopes;
    for (Candidate& candidate : candidates_for(model_, support, weights, goal)) {
      std::vector<double> moved = slope_;
      double change = 0;
      for (size_t a = 0; a < support.size(); ++a) {
        const int64_t k = support.places[a], j = model_.set[k];
        const double by = candidate.weights[a] - weights[k];
        const double* row = gram_.row(k);
        for (int64_t i = 0; i < gram_.size(); ++i) moved[i] += by * row[i];
        change += model_.penalty.value(j, candidate.weights[a]) - model_.penalty.value(j, weights[k]);
      }
      // q·d + ½ dᵀHd = ½ (q + q')·d
      for (size_t a = 0; a < support.size(); ++a) {
        const int64_t k = support.places[a];
        change += 0.5 * (candidate.weights[a] - weights[k]) * (slope_[k] + moved[k]);
      }
      if (!(change < best)) continue;
      best = change;
      taken = candidate.kind;
      best_weights = std::move(candidate.weights);
      best_slopes = std::move(moved);
    }
    if (taken == Exact::none) return taken;
    for (size_t a = 0; a < support.size(); ++a) weights[support.places[a]] = best_weights[a];
    slope_ = std::move(best_slopes);
    return taken;
  }

  const QuadraticModel& model_;
  Gram gram_;
  std::vector<double> slope_, ridge_;
};

// The columns of X and D·X·d.
class ColumnModel {
 public:
  /// Exact steps are left to another model where there is no kernel.
  ColumnModel(const QuadraticModel& model, RowKernel* kernel, const ParallelFor& parallel)
      : model_(model),
        kernel_(kernel),
        parallel_(parallel),
        product_(static_cast<size_t>(model.matrix.rows)) {
    double largest = 0;
    for (const int64_t j : model.set) {
      const ColumnMatrix& x = model.matrix;
      double sum = 0;
      for (int64_t k = x.starts[j]; k < x.starts[j + 1]; ++k)
        sum += x.values[k] * x.values[k] * model.curvature[x.entry_rows[k]];
      diagonal_.push_back(sum);
      largest = std::max(largest, sum);
    }
    for (double& value : diagonal_) value += ridge_of(value, largest);
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
  static int64_t sweeps_worth(int64_t) { return 10; }
  static constexpr int most_exact = 5;

  bool search_support(double, std::vector<double>&) const { return false; }

  // Newton's step on the support, as that of GramModel: by the rows where there are fewer, else by conjugate
  // gradients, which lower the model however early they end.
  Exact exact_step(std::vector<double>& weights) {
    if (kernel_ == nullptr) return Exact::none;
    const Support support(model_, weights);
    if (support.size() == 0) return Exact::none;
    std::vector<int64_t> columns;
    std::vector<double> at;
    for (const int64_t k : support.places) {
      columns.push_back(model_.set[k]);
      at.push_back(weights[k]);
    }
    std::vector<double> slopes(product_);
    for (size_t i = 0; i < slopes.size(); ++i) slopes[i] += model_.slopes[i];
    const std::vector<double> by_rows = kernel_->solve(
        {model_.matrix, columns, support.first, support.second, at, model_.curvature, slopes}, parallel_);
    const Exact taken = by_rows.empty() ? Exact::none : take_better(support, columns, by_rows, weights);
    if (taken != Exact::none) return taken;
    std::vector<double> goal = conjugate_gradients(support, columns);
    for (size_t a = 0; a < goal.size(); ++a) goal[a] += at[a];
    return take_better(support, columns, goal, weights);
  }

 private:
  Exact take_better(const Support& support, std::span<const int64_t> columns, std::span<const double> goal,
                    std::vector<double>& weights) {
    double best = 0;
    Exact taken = Exact::none;
    std::vector<double> best_weights, best_along;
    for (Candidate& candidate : candidates_for(model_, support, weights, goal)) {
      std::vector<double> along(product_.size());
      double change = 0;
      for (size_t a = 0; a < columns.size(); ++a) {
        const double w = weights[support.places[a]], by = candidate.weights[a] - w;
        model_.matrix.add_column(columns[a], by, along.data());
        change +=
            model_.penalty.value(columns[a], candidate.weights[a]) - model_.penalty.value(columns[a], w);
      }
      for (size_t i = 0; i < along.size(); ++i)
        change += along[i] * (model_.slopes[i] + product_[i] + 0.5 * along[i] * model_.curvature[i]);
      if (!(change < best)) continue;
      best = change;
      taken = candidate.kind;
      best_weights = std::move(candidate.weights);
      best_along = std::move(along);
    }
    if (taken == Exact::none) return taken;
    for (size_t a = 0; a < columns.size(); ++a) weights[support.places[a]] = best_weights[a];
    for (size_t i = 0; i < best_along.size(); ++i) product_[i] += best_along[i] * model_.curvature[i];
    return taken;
  }

  // (XᵀDX + h'')·step = force, with the diagonal as the preconditioner.
  std::vector<double> conjugate_gradients(const Support& support, std::span<const int64_t> columns) const {
    constexpr int most_steps = 300;
    constexpr double reduction = 1e-5;
    const size_t n = columns.size();
    std::vector<double> step(n), residual(n), direction(n), image(n), inverse(n);
    double energy = 0, first = 0;
    for (size_t a = 0; a < n; ++a) residual[a] = -(slope(support.places[a]) + support.first[a]);
    for (size_t a = 0; a < n; ++a) inverse[a] = 1 / (diagonal_[support.places[a]] + support.second[a]);
    for (int count = 0; count < most_steps; ++count) {
      double next = 0;
      for (size_t a = 0; a < n; ++a) next += residual[a] * residual[a] * inverse[a];
      if (count == 0) first = next;
      if (!(next > reduction * reduction * first)) break;
      const double keep = count == 0 ? 0 : next / energy;
      energy = next;
      std::vector<double> along(product_.size());
      for (size_t a = 0; a < n; ++a) {
        direction[a] = residual[a] * inverse[a] + keep * direction[a];
        model_.matrix.add_column(columns[a], direction[a], along.data());
      }
      double curvature = 0;
      for (size_t i = 0; i < along.size(); ++i) {
        curvature += along[i] * along[i] * model_.curvature[i];
        along[i] *= model_.curvature[i];
      }
      parallel_.run(static_cast<int64_t>(n), 64, [&](int64_t begin, int64_t end) {
        for (int64_t a = begin; a < end; ++a)
          image[a] = model_.matrix.dot(columns[a], along.data()) + support.second[a] * direction[a];
      });
      for (size_t a = 0; a < n; ++a) curvature += support.second[a] * direction[a] * direction[a];
      if (!(curvature > 0)) break;
      const double length = energy / curvature;
      for (size_t a = 0; a < n; ++a) {
        step[a] += length * direction[a];
        residual[a] -= length * image[a];
      }
    }
    return step;
  }

  const QuadraticModel& model_;
  RowKernel* kernel_;
  const ParallelFor& parallel_;
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
  int stale = 0;
  double best = std::numeric_limits<double>::infinity();
  const bool smooth = std::none_of(problem.set.begin(), problem.set.end(),
                                   [&](int64_t j) { return problem.penalty.selects(j); });
  if (smooth && model.exact_step(weights) != Exact::none) return true;
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
        // Each that is cut makes a zero.
        constexpr int most_stale = 10;
        for (int i = 0; i < Model::most_exact && model.exact_step(weights) == Exact::cut; ++i) continue;
        unsettled = 0;
        // Rounding in the model ends its use; the next one is made of fresh slopes.
        stale = worst > 0.5 * best ? stale + 1 : 0;
        best = std::min(best, worst);
        if (stale == most_stale) return model.search_support(tolerance, weights);
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

std::vector<double> descend(const QuadraticModel& model, double tolerance, int most_sweeps,
                            DescentCache& cache, const ParallelFor& parallel) {
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
  const bool fits = model.set.size() <= largest_gram,
             small = fits && !RowKernel::is_cheaper(model.matrix, model.set, model.penalty);
  // A step along one column would be a sum over all ranks.
  if (model.matrix.parts.is_one() && (!small || gram > 4 * few_sweeps * entries)) {
    // What does not settle soon is ill-conditioned, and exact steps are worth their price.
    const bool settled = sweep(model, ColumnModel(model, small ? nullptr : &cache.kernel, parallel),
                               tolerance, small ? few_sweeps : most_sweeps, weights);
    if (settled || !fits) return weights;
  }
  sweep(model, GramModel(model, cache.gram.get(model.matrix, model.set, model.curvature, parallel), weights),
        tolerance, most_sweeps, weights);
  return weights;
}

}  // namespace lariat::convex
