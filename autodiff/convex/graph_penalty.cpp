#include "autodiff/convex/graph_penalty.hpp"

#include <algorithm>
#include <limits>

#include "autodiff/double_graph.hpp"
#include "autodiff/penalty/combination.hpp"
#include "autodiff/penalty/proximal.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat::convex {

namespace {

std::string point_name(const std::string& parameter) { return "point of " + parameter; }
std::string steps_name(const std::string& parameter) { return "steps of the prox of " + parameter; }
constexpr const char* step_name = "step of the prox";

}  // namespace

GraphPenalty::GraphPenalty(Value loss, const std::vector<PenaltyTerm>& terms, std::span<const Value> cut,
                           const Coordinates& coordinates, std::span<const double> units, Executor& executor)
    : executor_(executor), units_(units.begin(), units.end()) {
  Graph values;
  const Value smooth = copy_without(loss, cut, {}, values);
  values.output("whole", copy_without(loss, {}, {}, values));
  values.output("smooth", smooth);
  values_ = std::make_unique<Program>(values);
  Graph& graph = loss.graph();
  const Value step = graph.input(step_name, {}, f64);
  ProxPoints points;
  const auto one_step = parameters_of_one_step(terms);
  for (size_t i = 0; i < coordinates.parameters.size(); ++i) {
    const Value parameter = coordinates.parameters[i];
    const std::string& name = parameter.name();
    names_.push_back(name);
    extents_.push_back(evaluate(parameter.shape(), {}));
    has_steps_.push_back(std::any_of(units_.begin() + coordinates.starts[i],
                                     units_.begin() + coordinates.starts[i + 1],
                                     [](double unit) { return unit != 1; }));
    const bool scalar = one_step.contains(name);
    require(!scalar || !has_steps_.back(), "a parameter of one step has units");
    points[name] = {graph.input(point_name(name), parameter.shape(), f64),
                    has_steps_.back() ? graph.input(steps_name(name), parameter.shape(), f64)
                    : scalar          ? step
                                      : broadcast_to(step, parameter.shape())};
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
  prox_by_steps(v, step, {}, to);
}

void GraphPenalty::prox_by_steps(std::span<const double> v, double step, std::span<const double> units,
                                 std::span<double> to) {
  Feeds feeds;
  // Bounds take no step.
  if (prox_->graph().source_id(step_name) >= 0) feeds[step_name] = Tensor::filled(f64, {}, step * factor);
  size_t next = 0;
  for (size_t i = 0; i < names_.size(); ++i) {
    Tensor point(f64, extents_[i]);
    std::copy_n(v.begin() + static_cast<int64_t>(next), point.count(), point.data<double>());
    feeds[point_name(names_[i])] = point;
    if (has_steps_[i] && prox_->graph().source_id(steps_name(names_[i])) >= 0) {
      Tensor steps = Tensor::filled(f64, extents_[i], step * factor);
      for (int64_t k = 0; !units.empty() && k < steps.count(); ++k) {
        const double unit = units[next + static_cast<size_t>(k)];
        steps.data<double>()[k] *= unit * unit;
      }
      feeds[steps_name(names_[i])] = steps;
    }
    next += static_cast<size_t>(point.count());
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

//   argmin_v h(U·v) + ‖v − a‖²/(2·step) = U⁻¹·argmin_w h(w) + Σ (w_j − u_j·a_j)²/(2·step·u_j²).
class GraphPenalty::InUnits final : public ProxFunction {
 public:
  explicit InUnits(GraphPenalty& penalty) : penalty_(penalty), written_(penalty.units_.size()) {}

  double total(std::span<const double> v) override { return penalty_.total(as_written(v)); }
  void prox(std::span<const double> v, double step, std::span<double> to) override {
    penalty_.prox_by_steps(as_written(v), step, penalty_.units_, to);
    for (size_t j = 0; j < to.size(); ++j) to[j] /= penalty_.units_[j];
  }
  // A step that rounding hides tells nothing.
  void distances(std::span<const double> v, std::span<const double> g, double step,
                 std::span<double> to) override {
    std::vector<double> ahead(v.size());
    for (size_t j = 0; j < v.size(); ++j) ahead[j] = v[j] - step * g[j];
    prox(ahead, step, to);
    constexpr double rounding = std::numeric_limits<double>::epsilon();
    for (size_t j = 0; j < v.size(); ++j)
      to[j] = std::max(std::abs(v[j] - to[j]), g[j] == 0 ? 0 : rounding * std::abs(v[j])) / step;
  }

 private:
  std::span<const double> as_written(std::span<const double> v) {
    for (size_t j = 0; j < v.size(); ++j) written_[j] = penalty_.units_[j] * v[j];
    return written_;
  }

  GraphPenalty& penalty_;
  std::vector<double> written_;
};

std::unique_ptr<ProxFunction> GraphPenalty::in_units() { return std::make_unique<InUnits>(*this); }

}  // namespace lariat::convex
