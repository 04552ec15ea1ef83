#include "autodiff/convex/graph_penalty.hpp"

#include "autodiff/double_graph.hpp"
#include "autodiff/penalty/combination.hpp"
#include "autodiff/penalty/proximal.hpp"
#include "ops/ops.hpp"

namespace lariat::convex {

namespace {

std::string point_name(const std::string& parameter) { return "point of " + parameter; }
constexpr const char* step_name = "step of the prox";

}  // namespace

GraphPenalty::GraphPenalty(Value loss, const std::vector<PenaltyTerm>& terms, std::span<const Value> cut,
                           const Coordinates& coordinates, Executor& executor)
    : executor_(executor) {
  Graph values;
  const Value smooth = copy_without(loss, cut, {}, values);
  values.output("whole", copy_without(loss, {}, {}, values));
  values.output("smooth", smooth);
  values_ = std::make_unique<Program>(values);
  Graph& graph = loss.graph();
  const Value step = graph.input(step_name, {}, f64);
  ProxPoints points;
  const auto one_step = parameters_of_one_step(terms);
  for (Value parameter : coordinates.parameters) {
    const std::string& name = parameter.name();
    names_.push_back(name);
    extents_.push_back(evaluate(parameter.shape(), {}));
    const bool scalar = one_step.contains(name);
    points[name] = {graph.input(point_name(name), parameter.shape(), f64),
                    scalar ? step : broadcast_to(step, parameter.shape())};
  }
  const std::map<std::string, Value> updates = proximal_updates(points, terms);
  std::vector<Edge> roots;
  for (const std::string& name : names_) {
    const Value update = updates.at(name);
    roots.push_back({update.node(), update.output()});
  }
  const std::vector<bool> used = ancestors(graph, roots);
  Graph to;
  GraphCopy copy(graph, to);
  for (int32_t id = 0; id < graph.size(); ++id)
    if (used[id]) copy.copy(id);
  for (size_t i = 0; i < names_.size(); ++i) to.output(names_[i], copy(roots[i]));
  prox_ = std::make_unique<Program>(to);
}

double GraphPenalty::total(std::span<const double> w) {
  size_t next = 0;
  for (size_t i = 0; i < names_.size(); ++i) {
    Tensor value(f64, extents_[i]);
    std::copy_n(w.begin() + static_cast<int64_t>(next), value.count(), value.data<double>());
    next += static_cast<size_t>(value.count());
    store_.set(names_[i], value);
  }
  const std::vector<Tensor> both = values_->run({}, store_, executor_);
  return factor * (both[0].item() - both[1].item());
}

void GraphPenalty::prox(std::span<const double> v, double step, std::span<double> to) {
  Feeds feeds;
  // Bounds take no step.
  if (prox_->graph().source_id(step_name) >= 0) feeds[step_name] = Tensor::filled(f64, {}, step * factor);
  size_t next = 0;
  for (size_t i = 0; i < names_.size(); ++i) {
    Tensor point(f64, extents_[i]);
    std::copy_n(v.begin() + static_cast<int64_t>(next), point.count(), point.data<double>());
    next += static_cast<size_t>(point.count());
    feeds[point_name(names_[i])] = point;
  }
  Store none;
  next = 0;
  for (const Tensor& result : prox_->run(feeds, none, executor_))
    for (const double value : result.values<double>()) to[next++] = value;
}

void GraphPenalty::distances(std::span<const double> w, std::span<const double> g, double step,
                             std::span<double> to) {
  std::vector<double> ahead(w.size());
  for (size_t j = 0; j < w.size(); ++j) ahead[j] = w[j] - step * g[j];
  prox(ahead, step, to);
  for (size_t j = 0; j < w.size(); ++j) to[j] = std::abs(w[j] - to[j]) / step;
}

}  // namespace lariat::convex
