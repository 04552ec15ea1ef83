#include "autodiff/convex/fista.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autodiff/double_graph.hpp"
#include "autodiff/gradient.hpp"
#include "graph/base/error.hpp"

namespace lariat::convex {

GraphFunction::GraphFunction(Value loss, const Coordinates& coordinates, std::span<const Value> zeroed,
                             Executor& executor)
    : executor_(executor) {
  Graph graph;
  const Value value = copy_without(loss, zeroed, {}, graph);
  std::vector<Value> parameters;
  for (Value parameter : coordinates.parameters) {
    names_.push_back(parameter.name());
    const Value known = graph.find_source(parameter.name());
    parameters.push_back(
        known ? known
              : graph.parameter(parameter.name(), evaluate(parameter.shape(), {}), init::zeros(), f64));
    store_.set(parameter.name(), Tensor(f64, evaluate(parameter.shape(), {})));
  }
  const std::vector<Value> gradients = gradient(value, parameters);
  graph.output("value", value);
  for (size_t i = 0; i < names_.size(); ++i) graph.output(names_[i], gradients[i]);
  program_ = std::make_unique<Program>(graph);
}

double GraphFunction::operator()(std::span<const double> w, std::span<double> gradient) {
  size_t next = 0;
  for (const std::string& name : names_) {
    const std::span<double> tensor = store_.get(name).values<double>();
    std::copy_n(w.begin() + static_cast<int64_t>(next), tensor.size(), tensor.begin());
    next += tensor.size();
  }
  const std::vector<Tensor> results = program_->run({}, store_, executor_);
  next = 0;
  for (size_t i = 1; i < results.size(); ++i)
    for (const double value : results[i].values<double>()) gradient[next++] = value;
  return results[0].item();
}

RowFunction::RowFunction(const LinearModel& model, RowLoss& loss, const ParallelFor& parallel)
    : model_(model), loss_(loss), parallel_(parallel), all_(static_cast<size_t>(model.matrix.columns())) {
  std::iota(all_.begin(), all_.end(), int64_t{0});
}

double RowFunction::operator()(std::span<const double> v, std::span<double> gradient) {
  const Tensor z = prediction_of(model_, v, loss_);
  const std::optional<RowLoss::Point> at = loss_.at_if_finite(z);
  if (!at) return std::numeric_limits<double>::infinity();
  products(model_.matrix, at->slope.data<double>(), all_, gradient, parallel_);
  rounding_ = at->rounding;
  return at->value;
}

void SeparableProx::prox(std::span<const double> v, double step, std::span<double> to) {
  for (size_t j = 0; j < v.size(); ++j) to[j] = penalty_.prox(static_cast<int64_t>(j), v[j], step);
}

void SeparableProx::distances(std::span<const double> w, std::span<const double> g, double,
                              std::span<double> to) {
  for (size_t j = 0; j < w.size(); ++j) to[j] = penalty_.distance(static_cast<int64_t>(j), w[j], -g[j]);
}

namespace {

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Whether the quadratic with constant L lies above f between y and w⁺. Where the values agree to rounding the
// gradients tell:  (g⁺ − g)·(w⁺ − y) ≤ L‖w⁺ − y‖².
bool bounded(double value, double at_next, std::span<const double> g, std::span<const double> g_next,
             std::span<const double> move, double constant) {
  const double square = dot(move, move), slope = dot(g, move);
  if (std::abs(at_next - value) > 1e-9 * std::abs(value))
    return at_next <= value + slope + constant / 2 * square;
  return dot(g_next, move) - slope <= constant * square * (1 + 1e-12);
}

}  // namespace

Result proximal_gradient(const SmoothFunction& f, ProxFunction& penalty, std::vector<double> start,
                         bool accelerated, const StoppingRule& rule, const Judge& judge) {
  // A constant that was once needed is not needed everywhere, so it is let down slowly.
  constexpr double decay = 0.98;
  constexpr int64_t iterations_per_gap = 10, most_idle = 5000;
  constexpr double largest_constant = 1e300;
  // Coordinates whose gradients are smaller than this beside the largest are not told apart.
  constexpr double least_scale = 1e-12;
  constexpr double vanished = 1e-30;
  const size_t count = start.size();
  std::vector<double> w = std::move(start), y = w, next(count), move(count), g(count), g_next(count);
  double constant = 1, momentum = 1;
  double value = f(y, g), at_w = value;
  if (!std::isfinite(value))
    throw JobError(fmt::format("the loss is {}; look for data far from 1, or scale them", value));
  Result result;
  std::vector<double> g_w = g, scale = rule.slopes, distance(count), ahead(count);
  scale.resize(count);
  const double at_start = std::abs(value);
  double best_objective = std::numeric_limits<double>::infinity(), best_gap = best_objective;
  double objective = 0;
  int64_t idle = 0;
  bool stuck = false;
  for (int64_t iteration = 0;; ++iteration) {
    double stationarity = 0, largest = 0;
    int64_t nonzeros = 0;
    for (size_t j = 0; j < count; ++j) {
      scale[j] = std::max(scale[j], std::abs(g_w[j]));
      largest = std::max(largest, scale[j]);
    }
    bool settled = true;
    penalty.distances(w, g_w, 1 / constant, distance);
    for (size_t j = 0; j < count; ++j) {
      stationarity = std::max(stationarity, distance[j]);
      settled &= distance[j] <= rule.tolerance * std::max(scale[j], least_scale * largest);
      nonzeros += w[j] != 0;
    }
    if (iteration % iterations_per_gap == 0 || iteration == rule.most_iterations || settled || stuck)
      objective = at_w + penalty.total(w);
    result.reached = {iteration, objective, std::numeric_limits<double>::infinity(), stationarity, nonzeros};
    const bool vanishes = judge && std::abs(objective) < vanished * at_start;
    const bool last = iteration == rule.most_iterations || stationarity == 0 || stuck || vanishes;
    if (judge && (last || iteration % iterations_per_gap == 0)) {
      if (const std::optional<Bound> bound = judge(w, g_w, last)) {
        result.bound = *bound;
        result.reached.relative_gap = bound->relative();
      }
    }
    if (rule.progress) rule.progress(result.reached);
    result.converged = judge ? result.reached.relative_gap <= rule.tolerance : settled;
    if (result.converged || last) {
      result.ending = vanishes                            ? Ending::vanishing
                      : iteration == rule.most_iterations ? Ending::iterations
                                                          : Ending::stagnation;
      break;
    }
    const bool gained = objective < best_objective - 1e-15 * std::abs(best_objective) ||
                        result.reached.relative_gap < 0.99 * best_gap;
    idle = gained ? 0 : idle + 1;
    best_objective = std::min(best_objective, objective);
    best_gap = std::min(best_gap, result.reached.relative_gap);

    double at_next = 0;
    const double before = constant;
    for (;; constant *= 2) {
      for (size_t j = 0; j < count; ++j) ahead[j] = y[j] - g[j] / constant;
      penalty.prox(ahead, 1 / constant, next);
      for (size_t j = 0; j < count; ++j) move[j] = next[j] - y[j];
      at_next = f(next, g_next);
      if (bounded(value, at_next, g, g_next, move, constant) || constant > largest_constant) break;
    }
    if (!std::isfinite(at_next) || idle >= most_idle || (next == w && y == w)) {
      stuck = true;
      constant = before;
      continue;
    }
    constant *= decay;
    double against = 0;
    for (size_t j = 0; j < count; ++j) against += (y[j] - next[j]) * (next[j] - w[j]);
    if (against > 0) momentum = 1;
    const double momentum_next = (1 + std::sqrt(1 + 4 * momentum * momentum)) / 2;
    const double further = accelerated && against <= 0 ? (momentum - 1) / momentum_next : 0;
    momentum = momentum_next;
    for (size_t j = 0; j < count; ++j) y[j] = next[j] + further * (next[j] - w[j]);
    std::swap(w, next);
    std::swap(g_w, g_next);
    at_w = at_next;
    value = at_w;
    g = g_w;
    if (further != 0) {
      value = f(y, g);
      // Beyond the domain of f there is no going ahead.
      if (!std::isfinite(value)) {
        y = w;
        value = at_w;
        g = g_w;
        momentum = 1;
      }
    }
  }
  result.weights = std::move(w);
  result.step = 1 / constant;
  const double largest = count == 0 ? 0 : *std::max_element(scale.begin(), scale.end());
  for (size_t j = 0; j < count; ++j) result.scales.push_back(std::max(scale[j], least_scale * largest));
  result.slopes = result.scales;
  return result;
}

}  // namespace lariat::convex
