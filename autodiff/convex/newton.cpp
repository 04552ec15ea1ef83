#include "autodiff/convex/newton.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace lariat::convex {

namespace {

// Inner sweeps are cheap beside the outer step, which is superlinear only if they go well below it.
constexpr double inner_tolerance = 1e-3;
constexpr int most_sweeps = 2000;
constexpr double sufficient_decrease = 0.01;
constexpr int most_halvings = 30;
// The objective's own rounding error, relative.
constexpr double rounding = 1e-14;
// A loss that has fallen by as much is 0 for all that doubles can tell.
constexpr double vanished = 1e-30;

int64_t count_nonzeros(std::span<const double> w) {
  return std::count_if(w.begin(), w.end(), [](double x) { return x != 0; });
}

}  // namespace

Newton::Newton(const ConditionedModel& conditioned, RowLoss& loss, SeparablePenalty& penalty,
               const ParallelFor& parallel)
    : conditioned_(conditioned),
      model_(conditioned.model()),
      loss_(loss),
      penalty_(penalty),
      parallel_(parallel) {
  const auto count = static_cast<size_t>(model_.matrix.columns());
  gradient_.resize(count);
  violation_.resize(count);
  all_.resize(count);
  std::iota(all_.begin(), all_.end(), int64_t{0});
  set_weights(std::vector<double>(count));
  value_at_zero_ = at_.value;
}

void Newton::set_weights(std::vector<double> weights) {
  weights_ = std::move(weights);
  z_ = prediction_of(model_, weights_, loss_);
  at_ = loss_.at(z_);
  gradient_factor_ = 0;
}

// The gradient changes by less than the penalty's factor as that falls: what is then still inside stays zero.
void Newton::screen() {
  candidates_ = all_;
  const double factor = penalty_.factor, ahead = 2 * factor - gradient_factor_;
  if (gradient_factor_ <= 0 || factor > gradient_factor_ || ahead <= 0) return;
  penalty_.factor = ahead;
  std::erase_if(candidates_, [&](int64_t j) {
    return weights_[j] == 0 && penalty_.selects(j) && penalty_.distance(j, 0, -gradient_[j]) == 0;
  });
  penalty_.factor = factor;
}

void Newton::measure(std::span<const int64_t> among) {
  products(model_.matrix, at_.slope.data<double>(), among, gradient_, parallel_);
  stationarity_ = 0;
  for (const int64_t j : among) {
    violation_[j] = penalty_.distance(j, weights_[j], -gradient_[j]);
    stationarity_ = std::max(stationarity_, violation_[j]);
  }
}

// About what the gap would be if the candidates were all there is, without a dual point: Σ h_j(w_j) + w_j
// g_j, and what is lost by scaling a slope that is outside by the largest violation.
double Newton::estimated_gap() const {
  double complementarity = 0, total = 0, largest = 0;
  for (const int64_t j : candidates_) {
    const double h = penalty_.value(j, weights_[j]);
    complementarity += h + weights_[j] * gradient_[j];
    total += h;
    largest = std::max(largest, std::abs(gradient_[j]));
  }
  return std::abs(complementarity) + total * stationarity_ / std::max(largest, 1e-300);
}

// Adds what was screened away to the candidates.
void Newton::look_at_all() {
  std::vector<int64_t> others;
  std::set_difference(all_.begin(), all_.end(), candidates_.begin(), candidates_.end(),
                      std::back_inserter(others));
  const double before = stationarity_;
  measure(others);
  stationarity_ = std::max(stationarity_, before);
  candidates_ = all_;
}

void Newton::keep_most_violating(std::vector<int64_t>& set, size_t count) const {
  std::nth_element(set.begin(), set.begin() + static_cast<int64_t>(count), set.end(),
                   [&](int64_t a, int64_t b) {
                     return violation_[a] != violation_[b] ? violation_[a] > violation_[b] : a < b;
                   });
  set.resize(count);
}

std::vector<int64_t> Newton::working_set() const {
  constexpr size_t smallest = 100;
  std::vector<int64_t> set, violating;
  for (const int64_t j : candidates_) {
    if (weights_[j] != 0 || !penalty_.selects(j)) {
      set.push_back(j);
    } else if (violation_[j] > 0) {
      violating.push_back(j);
    }
  }
  // At most as many new ones as there are already.
  const size_t most = std::max(smallest, set.size());
  if (violating.size() > most) keep_most_violating(violating, most);
  set.insert(set.end(), violating.begin(), violating.end());
  if (!model_.matrix.parts.is_one() && set.size() > largest_gram) keep_most_violating(set, largest_gram);
  std::sort(set.begin(), set.end());
  return set;
}

double Newton::natural_curvature() const {
  // ℓ'²/(2ℓ) of a parabola is its curvature.
  return at_.slope_length * at_.slope_length / (2 * std::max(std::abs(at_.value), 1e-300));
}

bool Newton::has_vanished() const {
  return std::abs(at_.value + penalty_.total(weights_)) < vanished * std::abs(value_at_zero_);
}

void Newton::go_beyond() {
  const std::vector<double> here = weights_;
  // Those without a penalty may do alone.
  constexpr double a_little = 1 + 0x1p-20;
  for (const auto& [free, penalised] : {std::pair(1.0, 0.0), {a_little, 0.0}, {a_little, a_little}}) {
    std::vector<double> beyond = here;
    for (size_t j = 0; j < beyond.size(); ++j)
      beyond[j] *= penalty_.is_free(static_cast<int64_t>(j)) ? free : penalised;
    set_weights(std::move(beyond));
    if (at_.value + penalty_.total(weights_) == 0) break;
    set_weights(here);
  }
  measure(candidates_);
}

double Newton::search(const std::vector<int64_t>& set, std::span<const double> goal, double expected) {
  const double before = at_.value + penalty_.total(weights_);
  std::vector<double> tried = weights_;
  double length = 1;
  for (int halving = 0; halving < most_halvings; ++halving, length /= 2) {
    for (size_t k = 0; k < set.size(); ++k) {
      const int64_t j = set[k];
      tried[j] = length == 1 ? goal[k] : weights_[j] + length * (goal[k] - weights_[j]);
    }
    // From the weights, so that rounding does not pile up from step to step.
    Tensor z = prediction_of(model_, tried, loss_);
    std::optional<RowLoss::Point> at = loss_.at_if_finite(z);
    if (!at) continue;
    const double after = at->value + penalty_.total(tried);
    if (!(after - before <= sufficient_decrease * length * expected + rounding * std::abs(before))) continue;
    weights_ = std::move(tried);
    z_ = std::move(z);
    at_ = std::move(*at);
    return length;
  }
  return 0;
}

bool Newton::polish(const std::vector<int64_t>& set, std::span<const double> goal) {
  std::vector<double> tried = weights_, gradient(weights_.size());
  for (size_t k = 0; k < set.size(); ++k) tried[set[k]] = goal[k];
  Tensor z = prediction_of(model_, tried, loss_);
  std::optional<RowLoss::Point> at = loss_.at_if_finite(z);
  if (!at) return false;
  products(model_.matrix, at->slope.data<double>(), set, gradient, parallel_);
  double before = 0, after = 0;
  for (const int64_t j : set) {
    before = std::max(before, violation_[j]);
    after = std::max(after, penalty_.distance(j, tried[j], -gradient[j]));
  }
  if (!(after < before)) return false;
  weights_ = std::move(tried);
  z_ = std::move(z);
  at_ = std::move(*at);
  return true;
}

bool Newton::step(const std::vector<int64_t>& set, double tolerance) {
  constexpr int most_attempts = 40;
  constexpr double flat = 1e-12, growth = 10, short_length = 1.0 / 16;
  const double natural = natural_curvature();
  const double* own = at_.curvature.data<double>();
  const auto rows = static_cast<size_t>(z_.count());
  const double steepest = at_.steepest;
  if (steepest <= flat * natural) damping_ = std::max(damping_, natural);
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    std::vector<double> curvature(own, own + rows);
    for (double& d : curvature) d = std::max(d, 0.0) + damping_;
    const QuadraticModel quadratic{model_.matrix, penalty_, set, gradient_, at_.slope.values<double>(),
                                   curvature,     weights_};
    const std::vector<double> goal = descend(quadratic, tolerance, most_sweeps, cache_, parallel_);
    double expected = 0;
    for (size_t k = 0; k < set.size(); ++k) {
      const int64_t j = set[k];
      const double by = goal[k] - weights_[j];
      if (by == 0) continue;
      expected += gradient_[j] * by + penalty_.value(j, goal[k]) - penalty_.value(j, weights_[j]);
    }
    if (-expected <= rounding * std::abs(at_.value + penalty_.total(weights_))) return polish(set, goal);
    const double length = search(set, goal, expected);
    if (length == 1) damping_ = damping_ > 1e-6 * steepest ? damping_ / growth : 0;
    if (length > 0 && length < short_length) damping_ = std::max(growth * damping_, 1e-3 * natural);
    if (length > 0) return true;
    damping_ = std::max(growth * damping_, 1e-3 * natural);
  }
  return false;
}

double Newton::factor_of_zeros() const {
  const double noise = 100 * at_.rounding;
  double largest = 0;
  for (const int64_t j : all_) {
    const Interval slopes = penalty_.kink(j);
    if (penalty_.selects(j) && std::abs(gradient_[j]) > noise)
      largest = std::max(largest, -gradient_[j] / (gradient_[j] < 0 ? slopes.high : slopes.low));
  }
  return penalty_.factor * largest;
}

// Where there are more columns than rows, a small penalty alone does not tell which of them to take: steps
// from zero take far too many, and have to drop them one by one.
void Newton::approach(const StoppingRule& rule) {
  constexpr double fall = 0.2, loose = 1e-2;
  constexpr int64_t few_iterations = 10;
  const double target = penalty_.factor;
  measure(all_);
  const double largest = factor_of_zeros();
  if (!std::isfinite(largest)) return;
  for (double factor = fall * largest; factor * fall > target; factor *= fall) {
    penalty_.factor = factor;
    minimise({std::max(loose, rule.tolerance), std::min(few_iterations, rule.most_iterations), {}});
  }
  penalty_.factor = target;
}

Result Newton::run(const StoppingRule& rule) {
  const bool cold = gradient_factor_ == 0 && count_nonzeros(weights_) == 0;
  const int64_t rows = model_.matrix.parts.all_rows(model_.matrix.rows);
  if (cold && model_.matrix.columns() > rows && penalty_.factor > 0) approach(rule);
  return minimise(rule);
}

Result Newton::minimise(const StoppingRule& rule) {
  // Rounding makes the last steps wander; so many without a gain are the end.
  constexpr int most_idle = 6;
  screen();
  measure(candidates_);
  const DualityGap judge(conditioned_, loss_, parallel_);
  Result result;
  bool stuck = false;
  int idle = 0;
  double best_objective = std::numeric_limits<double>::infinity(), best_stationarity = best_objective,
         best_gap = best_objective;
  for (int64_t iteration = 0;; ++iteration) {
    if (has_vanished()) go_beyond();
    const double objective = at_.value + penalty_.total(weights_);
    const double noise = at_.rounding;
    const bool last = iteration == rule.most_iterations, vanishes = has_vanished();
    const bool settled = stationarity_ <= noise;
    const bool end = stuck || last || vanishes || settled;
    if (candidates_.size() < all_.size() &&
        (end || estimated_gap() <= rule.tolerance * std::abs(objective))) {
      look_at_all();
      stuck = false;
    }
    const bool all = candidates_.size() == all_.size();
    std::optional<Bound> bound;
    if (all)
      bound = judge.at(penalty_, conditioned_.as_written(weights_), rule.tolerance, {gradient_, noise}, end);
    if (bound) result.bound = *bound;
    result.reached = {iteration, objective,
                      bound ? bound->relative() : std::numeric_limits<double>::infinity(), stationarity_,
                      count_nonzeros(weights_)};
    if (rule.progress) rule.progress(result.reached);
    result.converged = bound && bound->relative() <= rule.tolerance;
    const bool gained = objective < best_objective - 10 * rounding * std::abs(best_objective) ||
                        stationarity_ < 0.7 * best_stationarity ||
                        result.reached.relative_gap < 0.7 * best_gap;
    idle = gained ? 0 : idle + 1;
    best_objective = std::min(best_objective, objective);
    best_stationarity = std::min(best_stationarity, stationarity_);
    best_gap = std::min(best_gap, result.reached.relative_gap);
    if (result.converged || (all && (stuck || last || vanishes))) {
      result.ending = vanishes ? Ending::vanishing : stuck ? Ending::stagnation : Ending::iterations;
      break;
    }
    stuck = !step(working_set(), inner_tolerance * stationarity_) || idle >= most_idle;
    measure(candidates_);
  }
  gradient_factor_ = penalty_.factor;
  result.weights = conditioned_.as_written(weights_);
  return result;
}

double Newton::largest_factor() {
  constexpr int most_steps = 100;
  std::vector<int64_t> free;
  for (const int64_t j : all_)
    if (!penalty_.selects(j)) free.push_back(j);
  set_weights(std::vector<double>(weights_.size()));
  measure(all_);
  double previous = std::numeric_limits<double>::infinity();
  for (int i = 0; !free.empty() && i < most_steps; ++i) {
    measure(free);
    if (has_vanished()) break;
    if (stationarity_ >= previous && i > 3) break;
    previous = stationarity_;
    if (!step(free, 1e-6 * stationarity_)) break;
  }
  measure(all_);
  // What fits every row leaves nothing to do.
  return has_vanished() ? 0 : factor_of_zeros();
}

}  // namespace lariat::convex
