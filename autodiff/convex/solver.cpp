#include "autodiff/convex/solver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "autodiff/convex/double_graph.hpp"
#include "autodiff/convex/fista.hpp"
#include "autodiff/convex/newton.hpp"
#include "autodiff/proximal.hpp"
#include "autodiff/trained_parameters.hpp"
#include "graph/error.hpp"
#include "graph/exec/program.hpp"
#include "graph/registry.hpp"

namespace lariat {

std::string_view name_of(SolveMethod method) {
  switch (method) {
    case SolveMethod::automatic:
      return "auto";
    case SolveMethod::newton:
      return "newton";
    case SolveMethod::fista:
      return "fista";
    default:
      return "proximal-gradient";
  }
}

std::string Solution::certificate() const {
  if (std::isfinite(relative_gap))
    return fmt::format("optimal to a relative duality gap of {:.1e}", relative_gap);
  return fmt::format("stationary to {:.1e}, not globally certified: {}", stationarity, not_certified);
}

struct Solver::Implementation {
  SolveOptions options;
  RewriteReport report;
  std::vector<std::pair<std::string, TensorType>> types;  // of the parameters as written
  Store fixed;                                            // parameters that are not solved for
  Graph graph;
  Value loss;
  convex::Coordinates coordinates;
  std::vector<Value> cut;
  std::unique_ptr<Executor> executor;
  std::unique_ptr<convex::SeparablePenalty> penalty;
  convex::LinearModelSearch search;
  std::unique_ptr<convex::RowLoss> row_loss;
  std::unique_ptr<convex::Newton> newton;
  std::unique_ptr<convex::SmoothFunction> function;
  std::vector<double> weights;
  SolveMethod method = SolveMethod::newton;

  void read(Value written);
  void choose_method();
  Solution finished(const convex::Result& result);
};

// The loss in double with its data in it, split into the smooth part and the penalties.
void Solver::Implementation::read(Value written) {
  if (!written.shape().empty() || !is_float(written.dtype()))
    throw UserError(
        fmt::format("the loss is {}; a loss is a scalar, such as a sum or mean", text(written.type())));
  Store values = options.start;
  initialize_store(written.graph(), values, options.seed);
  Graph canonical;
  const Value spelled = canonicalize_penalties(written, canonical);
  for (Value parameter : trained_parameters(written, options.parameters)) {
    types.emplace_back(parameter.name(), parameter.type());
    coordinates.parameters.push_back(canonical.find_source(parameter.name()));
  }
  loss = convex::in_double(spelled, options.feeds, values, coordinates.parameters, graph);
  std::vector<Value> parameters;
  for (const auto& [name, type] : types) parameters.push_back(graph.find_source(name));
  coordinates = convex::coordinates_of(parameters);
  for (const auto& [name, tensor] : values)
    if (graph.source_id(name) < 0 && name != random_state_name) fixed.set(name, tensor.clone());
  for (Value parameter : parameters) {
    const Tensor start = values.get(parameter.name());
    for (int64_t i = 0; i < start.count(); ++i) weights.push_back(start.at(i));
  }
  const PenaltySplit split = split_penalties(loss, parameters, SmoothTerms::all);
  report = make_report(split, "exact");
  for (const Refusal& refusal : split.refusals) {
    // Parts of the smooth loss: a relu under a square is how the squared hinge loss is written.
    const auto& record = registry().get(refusal.term).penalty;
    if (refusal.code == "L107" || (refusal.code == "L105" && record && record->everyday)) continue;
    throw UserError(fmt::format("{}: {} has a kink and no prox here: {}; {}, or train with an optimizer",
                                refusal.code, refusal.term, refusal.reason, refusal.advice));
  }
  for (const PenaltyTerm& term : split.terms)
    if (std::find(cut.begin(), cut.end(), term.node) == cut.end()) cut.push_back(term.node);
  penalty = convex::separable_penalty(split.terms, coordinates);
}

void Solver::Implementation::choose_method() {
  search = convex::find_linear_model(loss, coordinates, cut);
  method = options.method;
  if (method == SolveMethod::automatic) method = search.model ? SolveMethod::newton : SolveMethod::fista;
  if (method == SolveMethod::newton && !search.model)
    throw UserError(fmt::format("the method newton takes a linear model: {}; use fista", search.reason));
  if (search.model)
    row_loss = std::make_unique<convex::RowLoss>(loss, search.model->prediction, cut, *executor);
  if (method == SolveMethod::newton) {
    newton = std::make_unique<convex::Newton>(*search.model, *row_loss, *penalty, *executor);
  } else {
    function = std::make_unique<convex::SmoothFunction>(loss, coordinates, cut, *executor);
  }
}

Solution Solver::Implementation::finished(const convex::Result& result) {
  Solution solution;
  solution.method = method;
  if (options.method == SolveMethod::automatic && method != SolveMethod::newton)
    solution.note = search.reason;
  weights = result.weights;
  solution.gap = result.gap;
  solution.relative_gap = result.reached.relative_gap;
  solution.stationarity = result.reached.stationarity;
  solution.prox_residual = result.prox_residual;
  solution.iterations = result.reached.iteration;
  solution.nonzeros = result.reached.nonzeros;
  solution.coordinates = coordinates.count();
  solution.converged = result.converged;
  solution.penalty = penalty->total(weights);
  solution.objective = result.reached.objective;
  solution.smooth = solution.objective - solution.penalty;
  if (!search.model) solution.not_certified = search.reason;
  if (search.model && !std::isfinite(result.gap)) solution.not_certified = "no dual point was found";
  solution.store = fixed;
  for (size_t i = 0; i < types.size(); ++i) {
    Tensor tensor(f64, evaluate(types[i].second.shape, {}));
    std::copy(weights.begin() + coordinates.starts[i], weights.begin() + coordinates.starts[i + 1],
              tensor.data<double>());
    solution.store.set(types[i].first, tensor.cast(types[i].second.dtype));
  }
  return solution;
}

Solver::Solver(Value loss, SolveOptions options) : self_(std::make_unique<Implementation>()) {
  self_->options = std::move(options);
  self_->executor = make_tbb_executor(self_->options.threads);
  self_->read(loss);
  self_->choose_method();
}

Solver::Solver(Solver&&) noexcept = default;
Solver::~Solver() = default;

Solution Solver::solve(double factor) {
  Implementation& self = *self_;
  self.penalty->factor = factor;
  const bool newton = self.method == SolveMethod::newton;
  const int64_t most = self.options.most_iterations > 0 ? self.options.most_iterations
                       : newton                         ? 1000
                                                        : 100000;
  const convex::StoppingRule rule{self.options.tolerance, most, self.options.progress};
  if (newton) return self.finished(self.newton->run(rule));
  convex::Certifier certifier;
  if (self.search.model) certifier = {&*self.search.model, self.row_loss.get(), self.executor.get()};
  return self.finished(convex::proximal_gradient(*self.function, *self.penalty, self.weights,
                                                 self.method == SolveMethod::fista, rule, certifier));
}

double Solver::largest_factor() {
  if (!self_->search.model) return std::numeric_limits<double>::quiet_NaN();
  self_->penalty->factor = 1;
  if (self_->newton) return self_->newton->largest_factor();
  return convex::Newton(*self_->search.model, *self_->row_loss, *self_->penalty, *self_->executor)
      .largest_factor();
}

const RewriteReport& Solver::report() const { return self_->report; }

Solution solve(Value loss, const SolveOptions& options) { return Solver(loss, options).solve(); }

}  // namespace lariat
