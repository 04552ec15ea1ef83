#include "autodiff/certificate/subgradient_search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "autodiff/certificate/stationarity.hpp"
#include "autodiff/double_graph.hpp"
#include "autodiff/gradient.hpp"
#include "autodiff/penalty/loss_parts.hpp"
#include "autodiff/penalty/loss_terms.hpp"
#include "autodiff/penalty/settling.hpp"
#include "graph/ir/op_def.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr int most_sweeps = 1000;
constexpr const char* first_input = "certificate/first";
constexpr const char* kept_input = "certificate/kept";

std::string sum_input(const std::string& parameter) { return "certificate/sum/" + parameter; }
constexpr const char* outside_prefix = "outside/";

double norm(const std::vector<Tensor>& tensors) {
  double squares = 0;
  for (const Tensor& tensor : tensors)
    for (double value : tensor.values<double>()) squares += value * value;
  return std::sqrt(squares);
}

double inner(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double total = 0;
  for (size_t i = 0; i < a.size(); ++i)
    for (int64_t j = 0; j < a[i].count(); ++j) total += a[i].data<double>()[j] * b[i].data<double>()[j];
  return total;
}

// What rounding may set apart, relative to the size of numbers: 32 units of it, for the prox of a sum takes
// several steps to a kink at a shifted place.
double rounding_of(DType coarsest) {
  constexpr double units = 32;
  return units * (coarsest == f32 ? double{std::numeric_limits<float>::epsilon()}
                                  : std::numeric_limits<double>::epsilon());
}

// Elements that rounding alone sets apart, or from 0, become equal, but for their signs: a structured term
// has its kinks there.
Tensor settled(const Tensor& values, const Tensor& magnitudes, double tolerance) {
  const Tensor result = values.clone();
  double* x = result.data<double>();
  std::vector<int64_t> order(static_cast<size_t>(values.count()));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return std::abs(x[a]) < std::abs(x[b]); });
  double last = 0, settled = 0, reach = 0;
  for (int64_t i : order) {
    const double size = std::abs(x[i]), own = tolerance * magnitudes.data<double>()[i];
    if (size - last > std::max(own, reach)) settled = size;
    last = size;
    reach = own;
    x[i] = std::copysign(settled, x[i]);
  }
  return result;
}

// The values that a term is made of beside its argument.
std::vector<Value> coefficients_of(const PenaltyTerm& term) {
  std::vector<Value> all;
  if (!term.scalar) {
    all = {term.weight};
  } else {
    all = {term.scalar->quadratic, term.scalar->low, term.scalar->high};
    for (const ScalarTerm::Kink& kink : term.scalar->kinks)
      all.insert(all.end(), {kink.at, kink.below, kink.above});
  }
  std::erase_if(all, [](Value value) { return !value; });
  return all;
}

// Σ_v ⟨|v|, |∂h/∂v|⟩ over the values v that h is computed from: times the unit of rounding, what the rounding
// of each comes to in h, to first order (Linnainmaa, Taylor expansion of the accumulated rounding error,
// 1976).
Value rounded_magnitude(Value h) {
  Graph& graph = h.graph();
  const Edge root{h.node(), h.output()};
  const std::vector<bool> moves = on_parameters(graph), is_part = ancestors(graph, {&root, 1});
  std::vector<Value> values;
  for (int32_t id = 0; id <= h.node(); ++id) {
    const Node& node = graph.node(id);
    if (!moves[id] || !is_part[id] || node.op->traits.selection) continue;
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (is_float(node.outputs[i].dtype)) values.push_back(graph.value({id, static_cast<int32_t>(i)}));
  }
  Value magnitude = graph.constant(0.0, f64);
  const std::vector<Value> adjoints = gradient(h, values);
  for (size_t i = 0; i < values.size(); ++i)
    magnitude = magnitude + cast(sum(abs(values[i]) * abs(adjoints[i])), f64);
  return magnitude;
}

// Whether an op that bends, and moves with the parameters, is on a way to the loss that leads through none of
// the terms.
bool has_kinks_beside(Value loss, std::span<const Value> terms, const std::vector<bool>& moves) {
  const Graph& graph = loss.graph();
  std::vector<bool> reaches(static_cast<size_t>(graph.size())), is_term(reaches);
  for (Value term : terms) is_term[static_cast<size_t>(term.node())] = true;
  reaches[static_cast<size_t>(loss.node())] = true;
  for (int32_t id = loss.node(); id >= 0; --id) {
    const auto at = static_cast<size_t>(id);
    if (!reaches[at] || !moves[at] || is_term[at]) continue;
    const Node& node = graph.node(id);
    if (has_kinks(node)) return true;
    for (const Edge& edge : node.inputs) reaches[static_cast<size_t>(edge.node)] = true;
  }
  return false;
}

Feeds in_double(const Feeds& feeds) {
  Feeds result;
  for (const auto& [name, tensor] : feeds)
    result.emplace(name, tensor.dtype() == f32 ? tensor.cast(f64) : tensor);
  return result;
}

}  // namespace

double largest(const std::vector<Tensor>& tensors) {
  double result = 0;
  for (const Tensor& tensor : tensors)
    for (double value : tensor.values<double>()) result = std::max(result, std::abs(value));
  return result;
}

DType coarsest_type(const Graph& graph, const std::vector<std::string>& parameters) {
  const bool single = std::any_of(parameters.begin(), parameters.end(), [&](const std::string& name) {
    return graph.node(graph.source_id(name)).outputs[0].dtype == f32;
  });
  return single ? f32 : f64;
}

SubgradientSearch::SubgradientSearch(Graph& written, std::vector<std::string> parameters)
    : names_(std::move(parameters)) {
  Graph wide;
  convex::copy_in_double(written, wide);
  const Value loss = wide.find_output("loss");
  Graph& graph = *graph_;
  std::optional<LossParts> of_all;
  const LossParts exact(loss, graph, names_, of_all);
  const LossParts& parts = *of_all;
  has_more_terms_ = parts.split.terms.size() > exact.split.terms.size();
  for (const Refusal& refusal : parts.split.refusals) {
    other_kinks_ += refusal.code != "L107";
    leaps_ += refusal.leaps;
  }
  std::vector<int32_t> parameters_at;
  for (Value parameter : parts.parameters) parameters_at.push_back(parameter.node());
  const std::vector<bool> moves = dependents(graph, parameters_at);
  has_model_kinks_ = has_kinks_beside(parts.loss, parts.cut, moves);
  for (const PenaltyTerm& term : parts.split.terms) {
    convex_ = convex_ && (term.scalar || term.penalty->convex);
    // Under stop_gradient a coefficient may change with the weights: values along a line are another
    // function's.
    for (Value coefficient : coefficients_of(term)) convex_ = convex_ && !moves[coefficient.node()];
    if (!term.scalar && !term.penalty->scalar && !term.penalty->residual)
      unknown_.insert(term.parameters.begin(), term.parameters.end());
  }
  std::vector<PenaltyTerm> known;
  for (const PenaltyTerm& term : parts.split.terms)
    if (std::none_of(term.parameters.begin(), term.parameters.end(),
                     [&](const std::string& name) { return unknown_.contains(name); }))
      known.push_back(term);

  const Value kept = graph.input(kept_input, {}, f64), first = graph.input(first_input, {}, f64);
  SweepInputs inputs;
  inputs.tolerance = tolerance_ = rounding_of(coarsest_type(written, names_));
  const auto squares = gradients_of_squares(known);
  for (Value parameter : parts.parameters) {
    const std::string& name = parameter.name();
    if (unknown_.contains(name)) continue;
    Value& sum = inputs.sums[name] = graph.input(sum_input(name), parameter.shape(), parameter.dtype());
    if (squares.contains(name)) sum = sum + first * squares.at(name);
  }
  // Zeros that settle are those of the terms that are rewritten.
  std::set<int32_t> with_prox;
  for (const PenaltyTerm& term : exact.split.terms) with_prox.insert(term.node.node());
  std::vector<PenaltyTerm> rewritten;
  for (const PenaltyTerm& term : known)
    if (with_prox.contains(term.node.node())) rewritten.push_back(term);
  for (const auto& [name, zeros] : kept_zeros(parts.parameters, rewritten))
    inputs.held[name] = cast(kept, zeros.dtype()) * zeros;
  int made = 0;
  inputs.input = [&](const TensorType& type) {
    return graph.input(fmt::format("certificate/{}", made++), type.shape, type.dtype);
  };
  const SubgradientSweep sweep = subgradient_sweep(inputs, known);
  std::vector<std::pair<std::string, Value>> swept, as_computed;
  for (const SubgradientBlock& block : sweep.blocks) {
    subgradients_.push_back({block.subgradient.name(), block.subgradient.shape()});
    swept.emplace_back(block.subgradient.name(), block.next);
    if (!block.argument) continue;
    arguments_.push_back(block.argument.name());
    as_computed.emplace_back(arguments_.back() + "/as computed", block.as_computed);
    as_computed.emplace_back(arguments_.back() + "/magnitude", block.magnitude);
  }
  for (const auto& [name, sum] : sweep.sums) swept.emplace_back(sum_input(name), sum);
  for (const auto& [name, outside] : sweep.outside) swept.emplace_back(outside_prefix + name, outside);
  if (!as_computed.empty()) as_computed_ = program_of(graph, as_computed);
  sweep_ = program_of(graph, swept);
  written_penalty_ = parts.penalty();
  if (!written_penalty_) written_penalty_ = graph.constant(0.0, f64);
  penalty_ = program_of(graph, std::vector<std::pair<std::string, Value>>{{"penalty", written_penalty_}});
}

SubgradientSearch::Result SubgradientSearch::least(const std::vector<Tensor>& gradients, const Feeds& feeds,
                                                   const Store& store, Executor& executor, bool zeros_kept) {
  Store wide;
  for (const auto& [name, tensor] : store)
    wide.set(name, tensor.dtype() == f32 ? tensor.cast(f64) : tensor.clone());
  const Feeds fed = in_double(feeds);
  Feeds swept = fed;
  if (as_computed_) {
    const std::vector<Tensor> computed = as_computed_->run(fed, wide, executor);
    for (size_t i = 0; i < arguments_.size(); ++i)
      swept.emplace(arguments_[i], settled(computed[2 * i], computed[2 * i + 1], tolerance_));
  }
  std::vector<std::string> known;
  std::vector<Tensor> sums;
  std::map<std::string, Tensor> outside, state;  // state: what a sweep takes and gives
  for (size_t i = 0; i < names_.size(); ++i) {
    if (unknown_.contains(names_[i])) continue;
    known.push_back(names_[i]);
    state[sum_input(names_[i])] = gradients[i];
  }
  for (size_t i = 0; i < subgradients_.size(); ++i)
    state[subgradients_[i].name] = Tensor(f64, evaluate(subgradients_[i].shape, {}));

  double last = INFINITY;
  for (int step = 0; step < most_sweeps && !known.empty(); ++step) {
    Feeds all = swept;
    all.emplace(kept_input, Tensor::scalar(zeros_kept, f64));
    all.emplace(first_input, Tensor::scalar(step == 0, f64));
    all.insert(state.begin(), state.end());
    const std::vector<Tensor> results = sweep_->run(all, wide, executor);
    for (size_t i = 0; i < results.size(); ++i) state[sweep_->graph().outputs()[i].name] = results[i];
    sums.clear();
    for (const std::string& name : known) sums.push_back(state.at(sum_input(name)));
    for (auto at = state.begin(); at != state.end();)
      at = at->first.starts_with(outside_prefix) ? (outside.insert(*at), state.erase(at)) : std::next(at);
    const double now = norm(sums);
    if (!std::isfinite(now) || now >= last * (1 - 1e-12)) break;
    last = now;
  }
  Result result;
  for (size_t i = 0; i < known.size(); ++i) {
    const auto out = outside.find(outside_prefix + known[i]);
    result.distances[known[i]] = out != outside.end() && out->second.item() > 0 ? INFINITY : norm({sums[i]});
  }
  if (!convex_ || zeros_kept || known.size() < names_.size() || !std::isfinite(norm(sums))) return result;
  const auto fall = [&] { return steepest_fall({sums, gradients}, gradients, fed, wide, executor); };
  result.at_least = fall();
  // It is no less than the distance, but for rounding: whether that is all, is told by what goes on inside.
  if (result.at_least > norm(sums) && !magnitude_) {
    magnitude_ = program_of(*graph_, std::vector<std::pair<std::string, Value>>{
                                         {"magnitude", rounded_magnitude(written_penalty_)}});
    result.at_least = fall();
  }
  return result;
}

// h is convex, so (h(w + td) − h(w))/t is at least its derivative along d for every t > 0: the distance is at
// least −(⟨∇f, d⟩ + that)/‖d‖. It is taken against each line's direction, less what rounding may have added.
double SubgradientSearch::steepest_fall(const std::vector<Directions>& lines,
                                        const std::vector<Tensor>& gradients, const Feeds& feeds, Store& wide,
                                        Executor& executor) {
  std::vector<Tensor> at;
  for (const std::string& name : names_) at.push_back(wide.get(name).clone());
  const auto penalty = [&] { return penalty_->run(feeds, wide, executor)[0].item(); };
  const double here = penalty(), size = std::max(1.0, largest(at));
  double steepest = 0;
  for (const Directions& line : lines) {
    const double length = norm(line);
    if (!(length > 0) || !std::isfinite(length)) continue;
    const double slope = -inner(gradients, line);
    for (const double reach : {1e-2, 1e-4, 1e-6}) {
      const double t = reach * size / largest(line);
      for (size_t i = 0; i < names_.size(); ++i) {
        const Tensor moved = at[i].clone();
        for (int64_t j = 0; j < moved.count(); ++j) moved.data<double>()[j] -= t * line[i].data<double>()[j];
        wide.set(names_[i], moved);
      }
      const double there = penalty();
      const double magnitude = std::max(std::abs(here) + std::abs(there),
                                        magnitude_ ? magnitude_->run(feeds, wide, executor)[0].item() : 0);
      const double rounding = std::max(1e-14, tolerance_) * magnitude / t;
      const double fall = -(slope + (there - here) / t + rounding) / length;
      if (std::isfinite(fall)) steepest = std::max(steepest, fall);
    }
  }
  for (size_t i = 0; i < names_.size(); ++i) wide.set(names_[i], at[i]);
  return steepest;
}

}  // namespace lariat
