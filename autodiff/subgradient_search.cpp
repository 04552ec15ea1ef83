#include "autodiff/subgradient_search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodiff/convex/double_graph.hpp"
#include "autodiff/loss_parts.hpp"
#include "autodiff/stationarity.hpp"
#include "graph/op_def.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr int most_sweeps = 1000;
constexpr const char* first_input = "certificate/first";
constexpr const char* kept_input = "certificate/kept";

std::string sum_input(const std::string& parameter) { return "certificate/sum/" + parameter; }
std::string block_input(size_t block) { return fmt::format("certificate/block/{}", block); }

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

double largest(const std::vector<Tensor>& tensors) {
  double result = 0;
  for (const Tensor& tensor : tensors)
    for (double value : tensor.values<double>()) result = std::max(result, std::abs(value));
  return result;
}

Feeds in_double(const Feeds& feeds) {
  Feeds result;
  for (const auto& [name, tensor] : feeds)
    result.emplace(name, tensor.dtype() == f32 ? tensor.cast(f64) : tensor);
  return result;
}

}  // namespace

SubgradientSearch::SubgradientSearch(Graph& written, std::vector<std::string> parameters)
    : names_(std::move(parameters)) {
  Graph wide;
  convex::copy_in_double(written, wide);
  const LossParts exact(wide, names_, Sums::exact), parts(wide, names_, Sums::all);
  has_more_terms_ = parts.split.terms.size() > exact.split.terms.size();
  for (const Refusal& refusal : parts.split.refusals) other_kinks_ += refusal.code != "L107";
  for (const PenaltyTerm& term : parts.split.terms) {
    convex_ = convex_ && (term.scalar || term.penalty->convex);
    if (!term.scalar && !term.penalty->residual)
      unknown_.insert(term.parameters.begin(), term.parameters.end());
  }
  std::vector<PenaltyTerm> known;
  for (const PenaltyTerm& term : parts.split.terms)
    if (std::none_of(term.parameters.begin(), term.parameters.end(),
                     [&](const std::string& name) { return unknown_.contains(name); }))
      known.push_back(term);

  Graph& graph = *parts.graph;
  const Value kept = graph.input(kept_input, {}, f64), first = graph.input(first_input, {}, f64);
  std::map<std::string, Value> sums, held;
  const auto squares = gradients_of_squares(known);
  for (Value parameter : parts.parameters) {
    const std::string& name = parameter.name();
    if (unknown_.contains(name)) continue;
    sums[name] = graph.input(sum_input(name), parameter.shape(), parameter.dtype());
    if (squares.contains(name)) sums[name] = sums[name] + first * squares.at(name);
    if (exact.split.has_term_of(name)) held[name] = held_zeros(parameter, kept, known);
  }
  const SubgradientSweep sweep = subgradient_sweep(sums, known, held, [&](const TensorType& type) {
    blocks_.push_back(type);
    return graph.input(block_input(blocks_.size() - 1), type.shape, type.dtype);
  });
  for (const auto& [name, sum] : sweep.sums) graph.output(name, sum);
  for (size_t i = 0; i < sweep.blocks.size(); ++i) graph.output(block_input(i), sweep.blocks[i].next);
  sweep_ = std::make_unique<Program>(graph);

  const LossParts values(wide, names_, Sums::all);
  values.graph->output("penalty", values.gradients().penalty);
  penalty_ = std::make_unique<Program>(*values.graph);
}

SubgradientSearch::Result SubgradientSearch::least(const std::vector<Tensor>& gradients, const Feeds& feeds,
                                                   const Store& store, Executor& executor, bool zeros_kept) {
  Store wide;
  for (const auto& [name, tensor] : store)
    wide.set(name, tensor.dtype() == f32 ? tensor.cast(f64) : tensor.clone());
  const Feeds fed = in_double(feeds);
  std::vector<std::string> known;
  std::vector<Tensor> sums, blocks;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (unknown_.contains(names_[i])) continue;
    known.push_back(names_[i]);
    sums.push_back(gradients[i]);
  }
  for (const TensorType& type : blocks_) blocks.push_back(Tensor(f64, evaluate(type.shape, {})));

  double last = INFINITY;
  for (int step = 0; step < most_sweeps && !known.empty(); ++step) {
    Feeds all = fed;
    all.emplace(kept_input, Tensor::scalar(zeros_kept, f64));
    all.emplace(first_input, Tensor::scalar(step == 0, f64));
    for (size_t i = 0; i < known.size(); ++i) all.emplace(sum_input(known[i]), sums[i]);
    for (size_t i = 0; i < blocks.size(); ++i) all.emplace(block_input(i), blocks[i]);
    std::vector<Tensor> results = sweep_->run(all, wide, executor);
    // Outputs come by name as in the graph: sums, then blocks.
    std::map<std::string, Tensor> by_name;
    for (size_t i = 0; i < results.size(); ++i) by_name[sweep_->graph().outputs()[i].name] = results[i];
    for (size_t i = 0; i < known.size(); ++i) sums[i] = by_name.at(known[i]);
    for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = by_name.at(block_input(i));
    const double now = norm(sums);
    if (!std::isfinite(now) || now >= last * (1 - 1e-12) || blocks.size() <= 1) break;
    last = now;
  }
  Result result;
  for (size_t i = 0; i < known.size(); ++i) result.distances[known[i]] = norm({sums[i]});
  if (!convex_ || zeros_kept || known.size() < names_.size() || !std::isfinite(norm(sums))) return result;
  result.at_least = steepest_fall({sums, gradients}, gradients, fed, wide, executor);
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
      const double there = penalty(), rounding = 1e-14 * (std::abs(here) + std::abs(there)) / t;
      const double fall = -(slope + (there - here) / t + rounding) / length;
      if (std::isfinite(fall)) steepest = std::max(steepest, fall);
    }
  }
  for (size_t i = 0; i < names_.size(); ++i) wide.set(names_[i], at[i]);
  return steepest;
}

}  // namespace lariat
