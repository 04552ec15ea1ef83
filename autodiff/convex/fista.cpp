#include "autodiff/convex/fista.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autodiff/convex/double_graph.hpp"
#include "autodiff/gradient.hpp"
#include "graph/error.hpp"

namespace lariat::convex {

SmoothFunction::SmoothFunction(Value loss, const Coordinates& coordinates, std::span<const Value> zeroed,
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

double SmoothFunction::at(std::span<const double> w, std::span<double> gradient) {
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
  const double value = results[0].item();
  if (!std::isfinite(value))
    throw JobError(fmt::format("the loss is {}; look for data far from 1, or scale them", value));
  return value;
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

Result proximal_gradient(SmoothFunction& f, const SeparablePenalty& penalty, std::vector<double> start,
                         bool accelerated, const StoppingRule& rule, const Certifier& certifier) {
  // A constant that was once needed is not needed everywhere, so it is let down slowly.
  constexpr double decay = 0.98;
  constexpr int64_t iterations_per_gap = 10;
  constexpr double largest_constant = 1e300;
  const size_t count = start.size();
  std::vector<double> w = std::move(start), y = w, next(count), move(count), g(count), g_next(count);
  double constant = 1, momentum = 1, scale = 1e-300;
  double value = f.at(y, g), at_w = value;
  Result result;
  std::vector<double> g_w = g;
  for (const double slope : g) scale = std::max(scale, std::abs(slope));
  std::vector<int64_t> all(count);
  std::iota(all.begin(), all.end(), int64_t{0});
  for (int64_t iteration = 0;; ++iteration) {
    double stationarity = 0;
    int64_t nonzeros = 0;
    for (size_t j = 0; j < count; ++j) {
      stationarity = std::max(stationarity, penalty.distance(static_cast<int64_t>(j), w[j], -g_w[j]));
      nonzeros += w[j] != 0;
    }
    const double objective = at_w + penalty.total(w);
    result.reached = {iteration, objective, std::numeric_limits<double>::infinity(), stationarity, nonzeros};
    const bool last = iteration == rule.most_iterations || stationarity == 0;
    if (certifier.model && (last || iteration % iterations_per_gap == 0)) {
      const Tensor z = prediction_of(*certifier.model, w, *certifier.loss);
      const RowLoss::Point at = certifier.loss->at(z);
      result.gap = duality_gap(*certifier.model, *certifier.loss, penalty, all, w, z, at, g_w, true,
                               *certifier.parallel)
                       .value_or(std::numeric_limits<double>::infinity());
      result.reached.relative_gap = result.gap / std::max(std::abs(objective), 1e-300);
    }
    if (rule.progress) rule.progress(result.reached);
    result.converged = certifier.model ? result.reached.relative_gap <= rule.tolerance
                                       : stationarity <= rule.tolerance * scale;
    if (result.converged || last) break;

    double at_next = 0;
    for (;; constant *= 2) {
      for (size_t j = 0; j < count; ++j) {
        next[j] = penalty.prox(static_cast<int64_t>(j), y[j] - g[j] / constant, 1 / constant);
        move[j] = next[j] - y[j];
      }
      at_next = f.at(next, g_next);
      if (bounded(value, at_next, g, g_next, move, constant) || constant > largest_constant) break;
    }
    constant *= decay;
    double against = 0;
    for (size_t j = 0; j < count; ++j) against += (y[j] - next[j]) * (next[j] - w[j]);
    if (against > 0) momentum = 1;
    const double momentum_next = (1 + std::sqrt(1 + 4 * momentum * momentum)) / 2;
    const double ahead = accelerated && against <= 0 ? (momentum - 1) / momentum_next : 0;
    momentum = momentum_next;
    for (size_t j = 0; j < count; ++j) y[j] = next[j] + ahead * (next[j] - w[j]);
    std::swap(w, next);
    std::swap(g_w, g_next);
    at_w = at_next;
    if (ahead == 0) {
      value = at_w;
      g = g_w;
    } else {
      value = f.at(y, g);
    }
  }
  result.prox_residual = penalty.prox_residual(w, g_w);
  result.weights = std::move(w);
  return result;
}

}  // namespace lariat::convex
