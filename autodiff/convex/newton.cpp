#include "autodiff/convex/newton.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "autodiff/convex/coordinate_descent.hpp"

namespace lariat::convex {

namespace {

// Inner sweeps are cheap beside the outer step, which is superlinear only if they go well below it.
constexpr double inner_tolerance = 1e-3;
constexpr int most_sweeps = 2000;
constexpr double sufficient_decrease = 0.01;
constexpr int most_halvings = 30;
// The objective's own rounding error, relative.
constexpr double rounding = 1e-14;

int64_t count_nonzeros(std::span<const double> w) {
  return std::count_if(w.begin(), w.end(), [](double x) { return x != 0; });
}

}  // namespace

Newton::Newton(const LinearModel& model, RowLoss& loss, SeparablePenalty& penalty,
               const ParallelFor& parallel)
    : model_(model), loss_(loss), penalty_(penalty), parallel_(parallel) {
  const auto count = static_cast<size_t>(model.matrix.columns());
  gradient_.resize(count);
  violation_.resize(count);
  all_.resize(count);
  std::iota(all_.begin(), all_.end(), int64_t{0});
  set_weights(std::vector<double>(count));
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
  if (violating.size() > most) {
    std::nth_element(violating.begin(), violating.begin() + static_cast<int64_t>(most), violating.end(),
                     [&](int64_t a, int64_t b) {
                       return violation_[a] != violation_[b] ? violation_[a] > violation_[b] : a < b;
                     });
    violating.resize(most);
  }
  set.insert(set.end(), violating.begin(), violating.end());
  std::sort(set.begin(), set.end());
  return set;
}

bool Newton::step(const std::vector<int64_t>& set, double tolerance) {
  const auto rows = static_cast<size_t>(z_.count());
  const QuadraticModel quadratic{
      model_.matrix, penalty_, set, gradient_, {at_.curvature.data<double>(), rows}, weights_};
  const std::vector<double> goal = descend(quadratic, tolerance, most_sweeps, cache_, parallel_);
  double expected = 0;
  for (size_t k = 0; k < set.size(); ++k) {
    const int64_t j = set[k];
    const double by = goal[k] - weights_[j];
    if (by == 0) continue;
    expected += gradient_[j] * by + penalty_.value(j, goal[k]) - penalty_.value(j, weights_[j]);
  }
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
    RowLoss::Point at = loss_.at(z);
    const double after = at.value + penalty_.total(tried);
    if (after - before > sufficient_decrease * length * expected + rounding * std::abs(before)) continue;
    weights_ = std::move(tried);
    z_ = std::move(z);
    at_ = std::move(at);
    return expected < 0;
  }
  return false;
}

Result Newton::run(const StoppingRule& rule) {
  screen();
  measure(candidates_);
  double scale = 1e-300;
  for (const int64_t j : candidates_) scale = std::max(scale, std::abs(gradient_[j]));
  Result result;
  bool stuck = false;
  for (int64_t iteration = 0;; ++iteration) {
    const double objective = at_.value + penalty_.total(weights_);
    const bool last = iteration == rule.most_iterations;
    bool settled = stationarity_ <= rule.tolerance * scale;
    if (candidates_.size() < all_.size() &&
        (stuck || last || settled || estimated_gap() <= rule.tolerance * std::abs(objective))) {
      look_at_all();
      stuck = false;
      settled = stationarity_ <= rule.tolerance * scale;
    }
    std::optional<double> gap;
    if (candidates_.size() == all_.size())
      gap = duality_gap(model_, loss_, penalty_, all_, weights_, z_, at_, gradient_, stuck || last || settled,
                        parallel_);
    result.gap = gap.value_or(std::numeric_limits<double>::infinity());
    result.reached = {iteration, objective, result.gap / std::max(std::abs(objective), 1e-300), stationarity_,
                      count_nonzeros(weights_)};
    if (rule.progress) rule.progress(result.reached);
    result.converged = gap ? result.reached.relative_gap <= rule.tolerance : settled;
    if (result.converged || stuck || last) break;
    stuck = !step(working_set(), inner_tolerance * stationarity_);
    measure(candidates_);
  }
  gradient_factor_ = penalty_.factor;
  result.weights = weights_;
  result.prox_residual = penalty_.prox_residual(weights_, gradient_);
  return result;
}

double Newton::largest_factor() {
  std::vector<int64_t> free;
  for (const int64_t j : all_)
    if (!penalty_.selects(j)) free.push_back(j);
  set_weights(std::vector<double>(weights_.size()));
  measure(all_);
  double previous = std::numeric_limits<double>::infinity();
  for (int i = 0; !free.empty() && i < 100; ++i) {
    measure(free);
    if (stationarity_ >= previous && i > 3) break;
    previous = stationarity_;
    if (!step(free, 1e-6 * stationarity_)) break;
  }
  measure(all_);
  double largest = 0;
  for (const int64_t j : all_) {
    const Interval slopes = penalty_.kink(j);
    if (penalty_.selects(j))
      largest = std::max(largest, -gradient_[j] / (gradient_[j] < 0 ? slopes.high : slopes.low));
  }
  return penalty_.factor * largest;
}

}  // namespace lariat::convex
