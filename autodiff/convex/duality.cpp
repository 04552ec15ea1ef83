#include "autodiff/convex/duality.hpp"

#include <algorithm>
#include <cmath>

#include "autodiff/convex/gram.hpp"

namespace lariat::convex {

namespace {

// The search for a dual point.
class DualPoint {
 public:
  DualPoint(const ConditionedModel& conditioned, RowLoss& loss, const SeparablePenalty& penalty,
            const ParallelFor& parallel, double margin)
      : conditioned_(conditioned),
        loss_(loss),
        penalty_(penalty),
        parallel_(parallel),
        margin_(margin),
        columns_(conditioned.model().matrix.columns()) {}

  // Whether scaling by as much as rounding is off can bring slope j into the domain of h_j*, at a price far
  // below `negligible`.
  bool is_wide(int64_t j, double rounding, double negligible) const {
    const Interval domain = penalty_.conjugate_domain(j);
    if (std::isfinite(domain.high) || std::isfinite(domain.low))
      return margin_ * std::min(domain.high, -domain.low) >= rounding && margin_ > 0;
    const Interval kink = penalty_.kink(j);
    return std::max(penalty_.conjugate(j, kink.high + rounding),
                    penalty_.conjugate(j, kink.low - rounding)) <= negligible;
  }

  // The largest c <= 1 with −c·g_j in the domain of h_j*, for every column that is not held, or every wide
  // one.
  double feasible_scale(std::span<const double> g, double rounding, bool only_wide) const {
    double scale = 1;
    for (int64_t j = 0; j < columns_; ++j) {
      const Interval domain = penalty_.conjugate_domain(j);
      if ((!held_.empty() && held_[j]) || (only_wide && !is_wide(j, rounding, 0))) continue;
      if (-g[j] > domain.high) scale = std::min(scale, domain.high / -g[j]);
      if (-g[j] < domain.low) scale = std::min(scale, domain.low / -g[j]);
    }
    return scale;
  }

  double gap(std::span<const double> v, const Tensor& z, const RowLoss::Point& at, double objective,
             double tolerance, bool even_far);

 private:
  void measure();
  double cost(int64_t j, double v, double slope) const {
    return penalty_.value(j, v) + penalty_.conjugate(j, slope) - v * slope;
  }
  bool is_inside(int64_t j, double slope) const {
    const Interval domain = penalty_.conjugate_domain(j);
    return slope >= domain.low && slope <= domain.high;
  }
  // Lists the narrow columns whose −g_j is not where it should be, and where that is. False where there are
  // no more than before.
  bool hold(std::span<const double> v, double negligible);
  // Lists those that are outside, and the nearest place inside. False where there are none.
  bool hold_outside();
  void hold_at(int64_t j, double slope);
  double worst_deviation() const;
  bool solve_held(std::vector<double>& deviations) const;
  bool bring_in();
  bool scale_in();

  const ConditionedModel& conditioned_;
  RowLoss& loss_;
  const SeparablePenalty& penalty_;
  const ParallelFor& parallel_;
  const double margin_;  // what scaling may cost, relative; 0: no column is wide
  const int64_t columns_;
  Tensor z_;
  RowLoss::Point at_;
  std::vector<double> g_;
  double rounding_ = 0;
  std::vector<int64_t> set_;    // the columns that are held
  std::vector<double> wanted_;  // their −g
  std::vector<bool> held_;
};

void DualPoint::measure() {
  const double* u = at_.slope.data<double>();
  g_.resize(static_cast<size_t>(columns_));
  conditioned_.slopes(u, g_, parallel_);
  rounding_ = at_.rounding;
}

bool DualPoint::hold(std::span<const double> v, double negligible) {
  held_.resize(static_cast<size_t>(columns_));
  const size_t before = set_.size();
  for (int64_t j = 0; j < columns_; ++j) {
    if (held_[j] || is_wide(j, rounding_, negligible)) continue;
    const Interval kink = penalty_.kink(j), domain = penalty_.conjugate_domain(j);
    if (is_inside(j, -g_[j]) && cost(j, v[j], -g_[j]) <= negligible && !penalty_.is_free(j)) continue;
    double slope = v[j] != 0 ? penalty_.derivatives(j, v[j]).first : std::clamp(-g_[j], kink.low, kink.high);
    hold_at(j, std::clamp(slope, domain.low, domain.high));
  }
  return set_.size() > before;
}

bool DualPoint::hold_outside() {
  const size_t before = set_.size();
  for (int64_t j = 0; j < columns_; ++j) {
    const Interval domain = penalty_.conjugate_domain(j);
    if (!held_[j] && !is_inside(j, -g_[j])) hold_at(j, std::clamp(-g_[j], domain.low, domain.high));
  }
  return set_.size() > before;
}

void DualPoint::hold_at(int64_t j, double slope) {
  held_[j] = true;
  const auto place = std::lower_bound(set_.begin(), set_.end(), j) - set_.begin();
  set_.insert(set_.begin() + place, j);
  wanted_.insert(wanted_.begin() + place, slope);
}

double DualPoint::worst_deviation() const {
  double worst = 0;
  for (size_t k = 0; k < set_.size(); ++k) worst = std::max(worst, std::abs(-g_[set_[k]] - wanted_[k]));
  return worst;
}

// H⁻¹ times the deviations, H being X̃ᵀDX̃ of the held columns with h''.
bool DualPoint::solve_held(std::vector<double>& deviations) const {
  const std::span<const double> curvature = at_.curvature.values<double>();
  const Gram gram(conditioned_.model().matrix, set_, curvature, Gram(), {}, parallel_);
  const size_t n = set_.size();
  for (double ridge = 1e-13; ridge < 1e-6; ridge *= 100) {
    std::vector<double> hessian(n * n), solution = deviations;
    double largest = 0;
    for (size_t a = 0; a < n; ++a)
      largest = std::max(largest, gram.at(static_cast<int64_t>(a), static_cast<int64_t>(a)));
    for (size_t a = 0; a < n; ++a) {
      std::copy_n(gram.row(static_cast<int64_t>(a)), n, hessian.begin() + static_cast<int64_t>(a * n));
      hessian[a * n + a] += ridge * std::max(hessian[a * n + a], 1e-6 * largest);
    }
    if (!solve_positive(hessian, solution)) continue;
    deviations = std::move(solution);
    return true;
  }
  return false;
}

// Newton's method along the held columns.
bool DualPoint::bring_in() {
  constexpr int most_steps = 20;
  constexpr size_t most_held = 3000;
  if (set_.size() > most_held) return false;
  double previous = std::numeric_limits<double>::infinity();
  for (int step = 0; step < most_steps; ++step) {
    const double worst = worst_deviation();
    if (worst <= 2 * rounding_ || (step > 2 && worst > previous / 2)) break;
    previous = worst;
    std::vector<double> move;
    for (size_t k = 0; k < set_.size(); ++k) move.push_back(-g_[set_[k]] - wanted_[k]);
    if (!solve_held(move)) return false;
    for (size_t k = 0; k < set_.size(); ++k)
      conditioned_.model().matrix.add_column(set_[k], move[k], z_.data<double>());
    std::optional<RowLoss::Point> at = loss_.at_if_finite(z_);
    if (!at) return false;
    at_ = std::move(*at);
    measure();
  }
  return worst_deviation() <= 100 * rounding_;
}

// Scales the slopes until those that are not held are inside, a little more than needed, for they are only
// reached to rounding. A narrow column that this puts outside is held: scaling by as much as its rounding
// would cost the wide ones.
bool DualPoint::scale_in() {
  constexpr int most_attempts = 8;
  double margin = std::max(margin_ / 10, 1e-14);
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    const double feasible = feasible_scale(g_, rounding_, margin_ > 0);
    if (feasible >= 1) {
      if (!hold_outside()) return true;
      if (!bring_in()) return false;
      continue;
    }
    const double scale = feasible * (1 - margin);
    margin *= 10;
    const auto slopes = at_.slope.values<double>();
    std::vector<double> wanted(slopes.begin(), slopes.end());
    for (double& slope : wanted) slope *= scale;
    for (double& slope : wanted_) slope *= scale;
    std::optional<RowLoss::Point> at = loss_.with_slopes(z_, std::move(at_), wanted);
    if (!at) return false;
    at_ = std::move(*at);
    measure();
  }
  return false;
}

double DualPoint::gap(std::span<const double> v, const Tensor& z, const RowLoss::Point& at, double objective,
                      double tolerance, bool even_far) {
  constexpr double none = std::numeric_limits<double>::infinity();
  // A deviation of this share of the slopes belongs to a point far from the optimum.
  constexpr double near = 1e-3;
  z_ = z.clone();
  at_ = at;
  measure();
  const double negligible =
      1e-3 * tolerance * std::abs(objective) / static_cast<double>(std::max<int64_t>(1, columns_));
  constexpr int most_rounds = 4;
  for (int round = 0; hold(v, negligible) && round < most_rounds; ++round) {
    if (!even_far && worst_deviation() > near * at_.slope_length) return none;
    if (!bring_in()) return none;
  }
  if (!scale_in()) return none;
  std::vector<double> remainder(set_.size());
  std::vector<double> slopes(g_.size());
  for (size_t j = 0; j < slopes.size(); ++j) slopes[j] = -g_[j];
  for (size_t k = 0; k < set_.size(); ++k) {
    const double off = slopes[set_[k]] - wanted_[k];
    if (std::abs(off) > 20 * rounding_ && is_inside(set_[k], slopes[set_[k]])) continue;
    remainder[k] = off;
    slopes[set_[k]] = wanted_[k];
  }
  const double *from = z.data<double>(), *to = z_.data<double>(), *u = at_.slope.data<double>();
  double gap = at.value - at_.value;
  gap -= loss_.parts().sum(z.count(), [&](int64_t i) { return u[i] * (from[i] - to[i]); });
  for (int64_t j = 0; j < columns_; ++j)
    if (!penalty_.is_free(j)) gap += cost(j, v[j], slopes[j]);
  if (std::any_of(remainder.begin(), remainder.end(), [](double x) { return x != 0; })) {
    std::vector<double> move = remainder;
    if (!solve_held(move)) return none;
    double tilt = 0;
    for (size_t k = 0; k < move.size(); ++k) tilt += move[k] * remainder[k];
    // Where c² = δᵀH⁻¹δ, the excess e is at most gap + c·√(2e), for e is at least half the square of the way
    // to the optimum in the norm of H.
    const double root = std::sqrt(tilt / 2) + std::sqrt(tilt / 2 + std::max(gap, 0.0));
    gap = root * root;
  }
  // No difference of objectives is known better than to their rounding.
  const double least = std::numeric_limits<double>::epsilon() * std::abs(objective);
  return std::isnan(gap) ? none : std::max(gap, 0.0) + least;
}

}  // namespace

void products(const ColumnMatrix& matrix, const double* d, std::span<const int64_t> set, std::span<double> g,
              const ParallelFor& parallel) {
  constexpr int64_t entries_per_task = 16384;
  const int64_t each = 1 + matrix.starts.back() / std::max<int64_t>(1, matrix.columns());
  const auto of_part = [&](int64_t first, int64_t last, std::span<double> to) {
    parallel.run(static_cast<int64_t>(set.size()), 1 + entries_per_task / each,
                 [&](int64_t begin, int64_t end) {
                   for (int64_t k = begin; k < end; ++k) to[k] = matrix.dot(set[k], d, first, last);
                 });
  };
  const std::vector<double> sums = matrix.parts.sum(matrix.rows, set.size(), of_part);
  for (size_t k = 0; k < set.size(); ++k) g[set[k]] = sums[k];
}

Tensor prediction_of(const LinearModel& model, std::span<const double> w, const RowLoss& loss) {
  Tensor z = loss.zeros();
  std::copy(model.offset.begin(), model.offset.end(), z.data<double>());
  for (size_t j = 0; j < w.size(); ++j)
    if (w[j] != 0) model.matrix.add_column(static_cast<int64_t>(j), w[j], z.data<double>());
  return z;
}

std::optional<Bound> DualityGap::at(const SeparablePenalty& penalty, std::span<const double> w,
                                    double tolerance, const Glance& glance, bool even_far) const {
  // Slopes that have to be scaled by less belong to a gap of some percent.
  constexpr double near = 0.97;
  const double margin = std::clamp(tolerance / 100, 1e-13, 1e-10);
  DualPoint dual(conditioned_, loss_, penalty, parallel_, margin);
  if (!even_far && dual.feasible_scale(glance.gradient, glance.rounding, true) < near) return std::nullopt;
  Tensor z = loss_.zeros();
  conditioned_.predict(w, z.data<double>());
  const std::optional<RowLoss::Point> at = loss_.at_if_finite(z);
  if (!at) return even_far ? std::optional(Bound{}) : std::nullopt;
  const std::vector<double> v = conditioned_.conditioned(w);
  Bound bound{.objective = at->value + penalty.total(v), .unresolved = at->unresolved};
  bound.gap = dual.gap(v, z, *at, bound.objective, tolerance, even_far);
  constexpr double nearly = 1e-6;
  if (!even_far || bound.relative() <= tolerance || bound.relative() > nearly) return bound;
  // Near the optimum a dual point with every slope in its place is better than a scaled one.
  DualPoint exact(conditioned_, loss_, penalty, parallel_, 0);
  bound.gap = std::min(bound.gap, exact.gap(v, z, *at, bound.objective, tolerance, false));
  return bound;
}

}  // namespace lariat::convex
