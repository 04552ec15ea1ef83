#include "autodiff/convex/solver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "autodiff/convex/centred_products.hpp"
#include "autodiff/convex/fista.hpp"
#include "autodiff/convex/graph_penalty.hpp"
#include "autodiff/convex/largest_factor.hpp"
#include "autodiff/convex/newton.hpp"
#include "autodiff/convex/row_kinks.hpp"
#include "autodiff/convex/subdifferential_check.hpp"
#include "autodiff/double_graph.hpp"
#include "autodiff/penalty/combination.hpp"
#include "autodiff/penalty/proximal.hpp"
#include "autodiff/trained_parameters.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/registry.hpp"
#include "graph/program/program.hpp"

namespace lariat {

namespace {

bool is_same(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() && std::string_view(a.file_name()) == b.file_name();
}

}  // namespace

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
  std::vector<PenaltyTerm> terms;
  std::unique_ptr<convex::SeparablePenalty> penalty;  // where all terms are of single weights
  std::unique_ptr<convex::GraphPenalty> graph_penalty;
  std::string no_form;     // of which term there is no such penalty
  std::string not_convex;  // why the loss of a linear model has no dual
  convex::LinearModelSearch search;
  std::unique_ptr<convex::RowLoss> row_loss;
  std::optional<convex::ConditionedModel> conditioned;
  std::unique_ptr<convex::SeparablePenalty> conditioned_penalty;
  std::unique_ptr<convex::Newton> newton;
  // Of a loss that is no linear model: as written, and in the coordinates that are computed in, if others.
  std::unique_ptr<convex::GraphFunction> function, centred_function;
  std::unique_ptr<convex::CentredProducts> centred;
  std::optional<convex::SubdifferentialCheck> subdifferentials;  // of structured penalties
  std::vector<double> weights;
  std::vector<double> seen;  // the largest slopes, by gradient methods
  SolveMethod method = SolveMethod::newton;

  void read(Value written);
  void check_kinks(const PenaltySplit& split);
  void check_forms();
  /// Whether there is a duality gap to judge by.
  bool judges() const { return search.model && penalty && not_convex.empty(); }
  double penalty_at(std::span<const double> w) const {
    return penalty ? penalty->total(w) : graph_penalty->total(w);
  }
  void check_parts() const;
  void check_convex();
  void choose_method();
  convex::Result run(const convex::StoppingRule& rule);
  convex::Result run_by_gradients(bool accelerated, const convex::StoppingRule& rule);
  std::optional<convex::Bound> judged(std::span<const double> w) const;
  double measure(Solution& solution, std::span<const double> w);
  void judge_structured(Solution& solution, std::span<const double> w, std::span<const double> slopes);
  std::string short_of_tolerance(const Solution& solution, bool rounded) const;
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
  for (const PenaltyTerm& term : split.terms)
    if (!is_among(cut, term.node)) cut.push_back(term.node);
  search = convex::find_linear_model(loss, coordinates, cut);
  if (search.model) search.model->matrix.parts = options.row_parts;
  check_kinks(split);
  terms = split.terms;
  check_bounds(terms);
  check_forms();
}

// Throws UserError for a penalty that is not convex.
void Solver::Implementation::check_forms() {
  for (const PenaltyTerm& term : terms) {
    if (!term.penalty->convex)
      throw UserError(
          fmt::format("L110: the penalty {} has no form that can be solved for; train the model "
                      "with an optimizer instead",
                      term.text));
    if (!convex::has_separable_form(term)) no_form = term.text;
  }
  if (no_form.empty()) penalty = convex::separable_penalty(terms, coordinates);
}

// Throws UserError for a kink that is no penalty's. Of the loss of a row it is seen by its slope, however it
// is written.
void Solver::Implementation::check_kinks(const PenaltySplit& split) {
  const auto refuse = [](const Refusal& refusal) {
    throw UserError(fmt::format("{}: {} has a kink and no prox here: {}; {}, or train with an optimizer",
                                refusal.code, refusal.term, refusal.reason, refusal.advice));
  };
  std::vector<bool> behind(graph.size());
  if (search.model) {
    const int32_t prediction = search.model->prediction.node();
    behind = dependents(graph, {&prediction, 1});
  }
  const auto is_behind = [&](const Refusal& refusal) {
    for (int32_t id = 0; id < static_cast<int32_t>(behind.size()); ++id)
      if (behind[id] && graph.node(id).op->name == refusal.term &&
          is_same(graph.node(id).where, refusal.where))
        return true;
    return false;
  };
  const auto at_place = [](const convex::RowKink& kink, const Refusal& refusal) {
    return kink.op == refusal.term && is_same(kink.where, refusal.where);
  };
  for (const Refusal& refusal : split.refusals) {
    // Parts of the smooth loss: a relu under a square is how the squared hinge loss is written.
    const auto& record = registry().get(refusal.term).penalty;
    if (refusal.code == "L107" || (refusal.code == "L105" && record && record->everyday)) continue;
    if (!is_behind(refusal)) refuse(refusal);
  }
  if (!search.model) return;
  const auto kink = convex::find_row_kink(loss, search.model->prediction, cut, *executor);
  if (!kink) return;
  for (const Refusal& refusal : split.refusals)
    if (at_place(*kink, refusal)) refuse(refusal);
  refuse({"L102", kink->op,
          fmt::format("its argument mixes elements of parameters, and the slope of the loss jumps where the "
                      "prediction is {:.6g}",
                      kink->prediction),
          "write a loss that is smooth there", kink->where});
}

// Throws UserError where ranks share the rows of what is no sum over rows.
void Solver::Implementation::check_parts() const {
  if (options.row_parts.is_one()) return;
  if (!judges())
    throw UserError(
        fmt::format("ranks can share the rows of a linear model with penalties of single weights only: {}",
                    search.model ? fmt::format("the penalty {} is none of these", no_form) : search.reason));
  const int64_t rows = search.model->matrix.rows;
  if (rows != options.row_parts.own_rows())
    throw UserError(fmt::format("the loss is of {} rows, but this rank's share is {}, from row {} on", rows,
                                options.row_parts.own_rows(), options.row_parts.first_row()));
}

// Without a certificate a gradient method that is asked for may go on.
void Solver::Implementation::check_convex() {
  row_loss =
      std::make_unique<convex::RowLoss>(loss, search.model->prediction, cut, *executor, options.row_parts);
  try {
    row_loss->check_convex();
  } catch (const UserError& error) {
    const bool certifies = method == SolveMethod::newton || options.method == SolveMethod::automatic;
    if (certifies || !options.row_parts.is_one()) throw;
    const std::string_view message = error.what();
    not_convex = message.substr(0, message.find(';'));
  }
}

void Solver::Implementation::choose_method() {
  check_parts();
  method = options.method;
  if (method == SolveMethod::automatic) method = judges() ? SolveMethod::newton : SolveMethod::fista;
  if (method == SolveMethod::newton && !penalty)
    throw UserError(
        fmt::format("L110: the method newton has no form for the penalty {}, which is not one of single "
                    "weights; use fista",
                    no_form));
  if (method == SolveMethod::newton && !search.model)
    throw UserError(fmt::format("the method newton takes a linear model: {}; use fista", search.reason));
  if (judges()) check_convex();
  if (judges()) {
    conditioned.emplace(*search.model, *penalty);
    conditioned_penalty = penalty->in_units(conditioned->units());
  } else {
    function = std::make_unique<convex::GraphFunction>(loss, coordinates, cut, *executor);
    centred = std::make_unique<convex::CentredProducts>(
        loss, coordinates, terms, cut,
        penalty ? std::set<std::string, std::less<>>() : parameters_of_one_step(terms));
    if (penalty) conditioned_penalty = penalty->in_units(centred->units());
    if (centred->any())
      centred_function = std::make_unique<convex::GraphFunction>(centred->loss(), coordinates,
                                                                 std::span<const Value>(), *executor);
    if (!penalty)
      graph_penalty =
          std::make_unique<convex::GraphPenalty>(loss, terms, cut, coordinates, centred->units(), *executor);
  }
  if (method == SolveMethod::newton)
    newton = std::make_unique<convex::Newton>(*conditioned, *row_loss, *conditioned_penalty, *executor);
}

// In coordinates that are centred and scaled where the loss and the penalties allow it. What is given is
// judged once more there.
convex::Result Solver::Implementation::run_by_gradients(bool accelerated, const convex::StoppingRule& rule) {
  const std::unique_ptr<convex::ProxFunction> prox =
      penalty ? std::make_unique<convex::SeparableProx>(*conditioned_penalty) : graph_penalty->in_units();
  convex::GraphFunction& f = centred_function ? *centred_function : *function;
  convex::Result result =
      convex::proximal_gradient(std::ref(f), *prox, centred->centred(weights), accelerated, rule, {});
  result.weights = centred->as_written(result.weights);
  result.slopes = centred->slopes_as_written(centred->references(result.scales, true));
  if (!centred_function || (!result.converged && penalty)) return result;
  std::vector<double> gradient(weights.size()), distance(weights.size());
  const std::vector<double> given = centred->centred(result.weights);
  f(given, gradient);
  prox->distances(given, gradient, result.step, distance);
  const std::vector<double> of_columns = centred->references(result.scales, false);
  bool settled = result.converged, settled_by_columns = graph_penalty != nullptr;
  for (size_t j = 0; j < distance.size(); ++j) {
    settled = settled && distance[j] <= 2 * rule.tolerance * result.scales[j];
    settled_by_columns = settled_by_columns && distance[j] <= options.tolerance * of_columns[j];
  }
  result.converged = settled || settled_by_columns;
  if (!result.converged && result.ending != convex::Ending::iterations)
    result.ending = convex::Ending::stagnation;
  return result;
}

convex::Result Solver::Implementation::run(const convex::StoppingRule& rule) {
  if (newton) return newton->run(rule);
  const bool accelerated = method == SolveMethod::fista;
  if (function) return run_by_gradients(accelerated, rule);
  const convex::DualityGap gap(*conditioned, *row_loss, *executor);
  convex::RowFunction rows(conditioned->model(), *row_loss, *executor);
  const convex::Judge judge = [&](std::span<const double> v, std::span<const double> gradient,
                                  bool even_far) {
    return gap.at(*conditioned_penalty, conditioned->as_written(v), rule.tolerance,
                  {gradient, rows.rounding()}, even_far);
  };
  convex::SeparableProx prox(*conditioned_penalty);
  convex::Result result = convex::proximal_gradient(std::ref(rows), prox, conditioned->conditioned(weights),
                                                    accelerated, rule, judge);
  result.weights = conditioned->as_written(result.weights);
  return result;
}

std::optional<convex::Bound> Solver::Implementation::judged(std::span<const double> w) const {
  const convex::DualityGap gap(*conditioned, *row_loss, *executor);
  return gap.at(*conditioned_penalty, w, options.tolerance, {}, true);
}

// How far the weights are from stationary, as written; gives the loss's largest slope that a penalty meets.
double Solver::Implementation::measure(Solution& solution, std::span<const double> w) {
  std::vector<double> gradient(w.size()), distance(w.size());
  if (function) {
    (*function)(w, gradient);
  } else {
    Tensor z = row_loss->zeros();
    conditioned->predict(w, z.data<double>());
    const std::optional<convex::RowLoss::Point> at = row_loss->at_if_finite(z);
    if (at) conditioned->written_slopes(at->slope.data<double>(), gradient, *executor);
  }
  penalty ? convex::SeparableProx(*penalty).distances(w, gradient, 1, distance)
          : graph_penalty->distances(w, gradient, 1, distance);
  solution.stationarity = distance.empty() ? 0 : *std::max_element(distance.begin(), distance.end());
  solution.prox_residual = penalty ? penalty->prox_residual(w, gradient) : solution.stationarity;
  double met = 0;
  for (size_t j = 0; j < gradient.size(); ++j)
    if (!penalty || !penalty->is_free(static_cast<int64_t>(j))) met = std::max(met, std::abs(gradient[j]));
  return met;
}

// Of penalties that are not of single weights: the method's own measure rests on their prox.
void Solver::Implementation::judge_structured(Solution& solution, std::span<const double> w,
                                              std::span<const double> slopes) {
  if (!subdifferentials) subdifferentials.emplace(loss, cut, coordinates);
  const auto found = subdifferentials->at(w, graph_penalty->factor, slopes, *executor);
  solution.independent = found.has_value();
  if (!found) return;
  solution.stationarity = found->distance;
  for (const double slope : slopes) solution.slopes = std::max(solution.slopes, slope);
  // Beside the smallest slope of any coordinate it is so small for each.
  if (found->relative_to_least <= options.tolerance) solution.converged = true;
  if (!solution.converged || found->relative <= options.tolerance) return;
  solution.converged = false;
  solution.ending = convex::Ending::stagnation;
  solution.shortfall = fmt::format(
      "a stationarity of {:.1e} was reached where {:.1e} was asked for: the steps by the prox of {} end "
      "there, and its subdifferential says that it is no minimum; take a larger tolerance, or see what "
      "'lariat plugin check' says of the prox",
      solution.stationarity, options.tolerance, no_form);
}

std::string Solver::Implementation::short_of_tolerance(const Solution& solution, bool rounded) const {
  const size_t far = centred_function ? centred->far_from_centred() : 0;
  if (far > 0 && solution.ending == convex::Ending::stagnation)
    return fmt::format(
        "a stationarity of {:.1e} was reached where {:.1e} was asked for: the means of {} columns are over "
        "100000 times their standard deviations, so that a bias in double takes them up no better; subtract "
        "them",
        solution.stationarity, options.tolerance, far);
  int64_t free = penalty ? 0 : coordinates.count();
  for (int64_t j = 0; penalty && j < coordinates.count(); ++j) free += penalty->is_free(j) ? 1 : 0;
  return solution.why_short(
      options.tolerance, rounded, conditioned ? conditioned->far_from_centred().size() : 0,
      !judges() && !(centred_function && (penalty || centred->all_conditioned())), free);
}

Solution Solver::Implementation::finished(const convex::Result& result) {
  Solution solution;
  solution.method = method;
  const std::string reason = !penalty ? fmt::format("the penalty {} has no conjugate here", no_form)
                             : not_convex.empty() ? search.reason
                                                  : not_convex;
  if (options.method == SolveMethod::automatic && method != SolveMethod::newton) solution.note = reason;
  weights = result.weights;
  solution.store = fixed;
  std::vector<double> kept;
  for (size_t i = 0; i < types.size(); ++i) {
    Tensor tensor(f64, evaluate(types[i].second.shape, {}));
    std::copy(weights.begin() + coordinates.starts[i], weights.begin() + coordinates.starts[i + 1],
              tensor.data<double>());
    tensor = tensor.cast(types[i].second.dtype);
    for (int64_t k = 0; k < tensor.count(); ++k) kept.push_back(tensor.at(k));
    solution.store.set(types[i].first, tensor);
  }
  convex::Bound bound = result.bound;
  solution.converged = result.converged;
  solution.ending = result.ending;
  // What is vouched for is what is given.
  const bool rounded = kept != weights;
  if (rounded && judges()) {
    bound = judged(kept).value_or(convex::Bound{});
    if (solution.converged && bound.relative() > options.tolerance) {
      solution.converged = false;
      solution.ending = convex::Ending::stagnation;
    }
  }
  measure(solution, kept);
  if (graph_penalty) judge_structured(solution, weights, result.slopes);
  solution.gap = bound.gap;
  solution.relative_gap = bound.relative();
  solution.iterations = result.reached.iteration;
  solution.nonzeros = std::count_if(kept.begin(), kept.end(), [](double w) { return w != 0; });
  solution.coordinates = coordinates.count();
  solution.penalty = penalty_at(kept);
  solution.objective =
      judges() && std::isfinite(bound.objective) ? bound.objective : result.reached.objective;
  solution.smooth = solution.objective - solution.penalty;
  if (!judges()) solution.not_certified = reason;
  if (judges() && !std::isfinite(bound.gap)) solution.not_certified = Solution::no_dual_point;
  if (!solution.converged && solution.shortfall.empty())
    solution.shortfall = short_of_tolerance(solution, rounded);
  return solution;
}

Solver::Solver(Value loss, SolveOptions options) : self_(std::make_unique<Implementation>()) {
  if (options.most_iterations < 0)
    throw UserError(
        fmt::format("most_iterations is {}; it must be 1 or more, or 0 for as many as the method has",
                    options.most_iterations));
  if (!(options.tolerance >= 0) || !std::isfinite(options.tolerance))
    throw UserError(fmt::format("the tolerance of the solver is {}; it must be a finite number, 0 or more",
                                options.tolerance));
  options.row_parts.check_known();
  self_->options = std::move(options);
  self_->executor = make_tbb_executor(self_->options.threads);
  self_->read(loss);
  self_->choose_method();
}

Solver::Solver(Solver&&) noexcept = default;
Solver::~Solver() = default;

Solution Solver::solve(double factor) {
  Implementation& self = *self_;
  if (!(factor >= 0) || !std::isfinite(factor))
    throw UserError(fmt::format(
        "L104: the factor of the penalties is {}; it must be a finite number, 0 or more", factor));
  if (self.penalty) self.penalty->factor = factor;
  if (self.graph_penalty) self.graph_penalty->factor = factor;
  if (self.conditioned_penalty) self.conditioned_penalty->factor = factor;
  const int64_t usual = self.newton ? 1000 : 100000, given = self.options.most_iterations;
  const int64_t most = given > 0 ? given : usual;
  // A point is no further from stationary than about twice what the prox step from it tells.
  constexpr double inner = 0.25, least_tolerance = 1e-15, small = 1e-3;
  const double tolerance = self.options.tolerance * (self.graph_penalty ? inner : 1);
  convex::Result result = self.run({tolerance, most, self.options.progress, self.seen});
  // What is small beside slopes on the way may be large beside those that a small penalty meets.
  bool goes_on = result.converged && !self.judges();
  for (double finer = 1e-2 * tolerance; goes_on && finer > least_tolerance; finer *= 1e-2) {
    Solution at;
    const double met = self.measure(at, result.weights);
    const int64_t left = most - result.reached.iteration;
    if (left <= 0 || !(self.penalty_at(result.weights) > 0) || at.stationarity <= small * met) break;
    self.weights = result.weights;
    convex::Result next = self.run({finer, left, self.options.progress, result.scales});
    goes_on = next.converged;
    if (!goes_on && !(next.reached.objective <= result.reached.objective)) break;
    next.converged = true;  // what was asked for is reached
    next.reached.iteration += result.reached.iteration;
    result = std::move(next);
  }
  self.seen = result.scales;
  return self.finished(result);
}

double Solver::largest_factor() {
  Implementation& self = *self_;
  if (self.graph_penalty)
    return convex::largest_factor(*self.function, *self.graph_penalty, self.coordinates, self.terms);
  if (!self.judges()) return convex::largest_factor(*self.function, *self.penalty, self.coordinates.count());
  self.conditioned_penalty->factor = 1;
  if (self.newton) return self.newton->largest_factor();
  return convex::Newton(*self.conditioned, *self.row_loss, *self.conditioned_penalty, *self.executor)
      .largest_factor();
}

const RewriteReport& Solver::report() const { return self_->report; }

Solution solve(Value loss, const SolveOptions& options) { return Solver(loss, options).solve(); }

}  // namespace lariat
