#include "autodiff/training/training_step.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "autodiff/penalty/combination.hpp"
#include "autodiff/penalty/loss_parts.hpp"
#include "autodiff/penalty/proximal.hpp"
#include "autodiff/penalty/settling.hpp"
#include "autodiff/trained_parameters.hpp"
#include "autodiff/training/clipping.hpp"
#include "autodiff/training/shard_sums.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/verify.hpp"
#include "graph/passes/fuse_recurrent.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// 1 where zeros settle, else 0.
Value settle_switch(Graph& graph) {
  const Value on = graph.find_source(settle_input);
  return on ? on : graph.input(settle_input, {}, f64);
}

// Where it is switched on, zeros settle.
void settle(std::map<std::string, Value>& updates, const std::vector<Value>& parameters,
            const std::vector<PenaltyTerm>& terms) {
  std::map<std::string, Value> present;
  for (const Value parameter : parameters) present[parameter.name()] = parameter;
  for (const auto& [name, elements] : settling_zeros(present, updates, terms)) {
    Value& next = updates.at(name);
    next = where(cast(settle_switch(elements.graph()), next.dtype()) * elements, 0, next);
  }
}

// What is zero stays so, as do all elements of a parameter that nothing trains. NaN is no zero, and is left
// for others to find.
void freeze_zeros(std::map<std::string, Value>& updates, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto next = updates.find(name);
    if (next == updates.end()) {
      const Value held = updates.empty() ? Value() : updates.begin()->second.graph().find_source(name);
      if (held && node_of(held).op->traits.source == SourceKind::parameter) continue;
      throw UserError(fmt::format("'{}', whose zeros are to stay, is no parameter of the loss", name));
    }
    next->second = where(equal(next->second.graph().find_source(name), 0), 0, next->second);
  }
}

// The addends of the loss that must be finite before anything moves. Left out is what may be infinite while
// weights are outside a bound, and what depends on parameters alone through a penalty: that is summed in the
// loop that updates them.
std::vector<Value> guarded_addends(Value loss) {
  Graph& graph = loss.graph();
  std::vector<int32_t> data;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::input && !graph.node(id).outputs[0].shape.empty())
      data.push_back(id);
  const std::vector<bool> of_data = dependents(graph, data);
  // Whether a penalty of no data, or a bound, is among the nodes that each depends on.
  std::vector<bool> over_penalty(graph.size()), over_bound(graph.size());
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    for (const Edge& edge : node.inputs) {
      if (over_penalty[edge.node]) over_penalty[id] = true;
      if (over_bound[edge.node]) over_bound[id] = true;
    }
    const auto& penalty = node.op->penalty;
    if (!penalty || of_data[id]) continue;
    over_penalty[id] = true;
    if (!penalty->scalar) continue;
    const ScalarPenalty scalar = penalty->scalar(node.attributes);
    if (std::isfinite(scalar.low) || std::isfinite(scalar.high)) over_bound[id] = true;
  }
  std::vector<Value> result, open{loss};
  while (!open.empty()) {
    const Value value = open.back();
    open.pop_back();
    const Node& node = graph.node(value.node());
    if (node.op->traits.additive && node.op->traits.elementwise) {
      for (const Edge& edge : node.inputs) open.push_back(graph.value(edge));
    } else if (!over_bound[value.node()] && (of_data[value.node()] || !over_penalty[value.node()])) {
      result.push_back(value);
    }
  }
  return result;
}

// The group of each parameter, or none. Throws UserError for a group that cannot be.
std::vector<const ParameterGroup*> groups_of(const std::vector<Value>& parameters, const Optimizer& optimizer,
                                             const std::vector<ParameterGroup>& groups) {
  std::vector<const ParameterGroup*> result(parameters.size());
  for (const ParameterGroup& group : groups) {
    const std::string place = fmt::format("the parameter group '{}'", group.pattern);
    const auto check = [&](const char* name, const std::optional<double>& value) {
      if (value && !(*value >= 0 && std::isfinite(*value)))
        throw UserError(fmt::format("{}: {} is {}; it must be a number of 0 or more", place, name, *value));
    };
    check("learning_rate", group.learning_rate);
    check("weight_decay", group.weight_decay);
    if (optimizer.learning_rate == 0 && group.learning_rate.value_or(0) != 0)
      throw UserError(
          fmt::format("{} has the learning rate {}, but the optimizer has 0, on which schedules act; "
                      "give the optimizer one, and the other parameters a group with 0",
                      place, *group.learning_rate));
    if (optimizer.joint)
      throw UserError(
          fmt::format("{}: {} moves all parameters together and has no groups; leave it out, or take "
                      "another optimizer",
                      place, optimizer.name));
    bool matches = false, taken = false;
    std::vector<std::string> names;
    for (size_t i = 0; i < parameters.size(); ++i) {
      names.push_back(parameters[i].name());
      if (fnmatch(group.pattern.c_str(), names.back().c_str(), 0) != 0) continue;
      matches = true;
      taken = taken || result[i] == nullptr;
      if (result[i] == nullptr) result[i] = &group;
    }
    if (!matches)
      throw UserError(fmt::format("{} matches no parameter.{}", place, did_you_mean(group.pattern, names)));
    if (!taken)
      throw UserError(
          fmt::format("{} has no effect: groups before it have all that it matches; put it first", place));
  }
  return result;
}

void check_options(const TrainerOptions& options) {
  for (const auto& [name, limit] :
       {std::pair{"clip_norm", options.clip_norm}, {"clip_value", options.clip_value}})
    if (!(limit >= 0))
      throw UserError(fmt::format("{} is {}; it must be above 0, or 0 for no limit", name, limit));
  if (options.settle_from && *options.settle_from < 0)
    throw UserError(fmt::format("settle_from is {}; it must be a step, from 0 on", *options.settle_from));
}

void check_prox(const Optimizer& optimizer, const std::vector<PenaltyTerm>& terms) {
  if (optimizer.no_prox.empty()) return;
  for (const PenaltyTerm& term : terms)
    throw UserError(fmt::format("{} does not go with the penalty {} of '{}': {}", optimizer.name,
                                term.text.empty() ? node_of(term.node).op->name : term.text,
                                term.parameters.front(), optimizer.no_prox));
}

// Random numbers go on.
void advance_random(Graph& graph) {
  if (const Value random = graph.find_source(random_state_name))
    graph.update(std::string(random_state_name),
                 random + graph.constant(Tensor::of<int32_t>({3}, {0, 0, 1})));
}

// With earlier parts of the batch.
void accumulate(Graph& graph, const std::vector<Value>& parameters, std::vector<Value>& gradients) {
  const Value share = graph.input(share_input, {}, f64);
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Value w = parameters[i];
    const Value earlier = graph.input(earlier_input(w.name()), w.shape(), w.dtype());
    gradients[i] = multiply_add(cast(share, w.dtype()), gradients[i], earlier);
  }
}

// Elements that stay zero, whatever their gradient, by parameter.
std::map<std::string, Value> staying_zeros(const std::vector<Value>& parameters,
                                           const std::vector<PenaltyTerm>& terms,
                                           const TrainerOptions& options) {
  std::map<std::string, Value> result;
  if (options.settle_from)
    for (const auto& [name, elements] : kept_zeros(parameters, terms))
      result[name] = cast(settle_switch(elements.graph()), elements.dtype()) * elements;
  const std::set<std::string> frozen(options.frozen_zeros.begin(), options.frozen_zeros.end());
  for (const Value w : parameters) {
    if (!frozen.contains(w.name())) continue;
    Value& elements = result[w.name()];
    elements = elements ? where(equal(w, 0), 1, elements) : equal(w, 0);
  }
  return result;
}

// They have no part in what is made of all gradients: their norm, and steps that look at whole parameters.
void leave_out(const std::map<std::string, Value>& elements, const std::vector<Value>& parameters,
               std::vector<Value>& gradients) {
  for (size_t i = 0; i < parameters.size(); ++i)
    if (const auto found = elements.find(parameters[i].name()); found != elements.end())
      gradients[i] = where(found->second, 0, gradients[i]);
}

}  // namespace

std::string earlier_input(const std::string& parameter) { return "trainer/earlier/" + parameter; }

std::unique_ptr<Graph> part_of_step(Value written, const TrainerOptions& options, TreeSum* sum) {
  auto part = std::make_unique<Graph>();
  GraphCopy copy(written.graph(), *part);
  for (int32_t id = 0; id < written.graph().size(); ++id) copy.copy(id);
  const Value reported = copy(written);
  part->output("loss", reported);
  const std::vector<Value> parameters = trained_parameters(reported, options.parameters);
  LossParts split(reported, parameters);
  if (options.rewrite) {
    std::vector<std::string> names;
    for (const Value parameter : parameters) names.push_back(parameter.name());
    split = LossParts(written, *part, names);
  }
  const Value share = sum == nullptr ? Value() : part->input(share_input, {}, f64);
  auto [gradients, penalty] = split.gradients(nullptr, share);
  if (penalty) part->output("penalty", penalty);
  for (const Output& output : written.graph().outputs()) {
    if (output.is_update && sum == nullptr) part->update(output.name, copy(output.value));
    if (!output.is_update && output.name != "loss") part->output(output.name, copy(output.value));
  }
  if (sum != nullptr) {
    const std::vector<Value> given = give_shard(
        *sum, share, shard_values(parameters, gradients, {}, next_states(written.graph(), copy, share)));
    for (size_t i = 0; i < given.size(); ++i) part->output(fmt::format("{}/{}", given_output, i), given[i]);
    return part;
  }
  accumulate(*part, parameters, gradients);
  for (size_t i = 0; i < parameters.size(); ++i)
    part->output(earlier_input(parameters[i].name()), gradients[i]);
  advance_random(*part);
  return part;
}

void refuse_reserved_names(const Graph& graph) {
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const SourceKind kind = node.op->traits.source;
    if (kind == SourceKind::none || kind == SourceKind::constant) continue;
    const auto begins = [&](const char* start) { return node.name.starts_with(start); };
    if (node.name == "step" || begins("trainer/") || begins("optimizer/") || begins("certificate/"))
      throw UserError(place_of(node) +
                      "the name is one that a trainer keeps for itself, as are 'step', 'trainer/…', "
                      "'optimizer/…' and 'certificate/…'; choose another");
  }
}

void check_shares(size_t parts, std::span<const double> shares) {
  if (parts == 0 || parts != shares.size())
    throw UserError(
        fmt::format("a step was given {} parts and {} shares; it needs one for each", parts, shares.size()));
  const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
  const bool negative = std::any_of(shares.begin(), shares.end(), [](double share) { return share < 0; });
  if (negative || !(std::abs(all - 1) <= 1e-6))
    throw UserError(
        fmt::format("the shares of a step's {} parts are {}; they must be 0 or more, and add up to 1", parts,
                    fmt::join(shares, ", ")));
}

std::unique_ptr<Graph> joined_recurrences(Value loss, const TrainerOptions& options) {
  auto copied = std::make_unique<Graph>();
  GraphCopy copy(loss.graph(), *copied);
  for (int32_t id = 0; id < loss.graph().size(); ++id) copy.copy(id);
  copied->output("loss", copy(loss));
  for (const auto& [name, value] : options.metrics) {
    if (!value)
      throw UserError(fmt::format("the metric '{}' is an empty Value; build the value first", name));
    if (&value.graph() != &loss.graph())
      throw UserError(fmt::format("the metric '{}' belongs to another graph than the loss", name));
    if (value.rank() != 0)
      throw UserError(fmt::format("the metric '{}' is {}; a metric is a scalar, such as a mean", name,
                                  text(value.type())));
    copied->output("metric/" + name, copy(value));
  }
  for (const Output& output : loss.graph().outputs())
    if (output.is_update) copied->update(output.name, copy(output.value));
  if (without_recurrences(*copied)) return copied;
  auto joined = std::make_unique<Graph>();
  fuse_recurrent(*copied, *joined);
  return joined;
}

std::unique_ptr<Graph> training_step(Value written, const Optimizer& optimizer, const TrainerOptions& options,
                                     LossAnalysis& analysis, bool rehearsal, TreeSum* sum) {
  check_options(options);
  StepParts& parts = analysis.parts;
  auto step = std::make_unique<Graph>();
  GraphCopy copy(written.graph(), *step);
  for (int32_t id = 0; id < written.graph().size(); ++id) copy.copy(id);
  const Value reported = copy(written);
  step->output("loss", reported);
  std::vector<Operand> guarded{step->input(learning_rate_input, {}, f64)};
  for (Value addend : guarded_addends(reported)) guarded.push_back(addend);
  parts.loss_parts = guarded.size() - 1;
  Value rate;
  if (!options.check_finite) rate = guarded.size() > 1 ? build("guard", guarded) : guarded[0].value;

  std::vector<Value> parameters = trained_parameters(reported, options.parameters);
  LossParts split(reported, parameters);
  if (options.rewrite) {
    std::vector<std::string> names;
    for (const Value parameter : parameters) names.push_back(parameter.name());
    split = LossParts(written, *step, names);
    analysis.report = make_report(split.split, optimizer.metric);
    analysis.made_zero = parameters_made_zero(parameters, split.split.terms);
  } else {
    analysis.report.note = "the proximal rewrite is switched off: penalties keep their subgradients";
  }
  std::vector<PenaltyTerm>& terms = split.split.terms;
  check_prox(optimizer, terms);
  check_bounds(terms);
  const std::vector<const ParameterGroup*> groups = groups_of(parameters, optimizer, options.groups);

  parts.forward_end = step->size();
  const Value share = sum == nullptr ? Value() : step->input(share_input, {}, f64);
  auto [gradients, penalty] = split.gradients(&parts.gradient_of, share);
  std::map<std::string, Value> states;
  if (sum != nullptr) {
    states = next_states(written.graph(), copy, share);
    sum_over_shards(*sum, share, parameters, staying_zeros(parameters, terms, options), gradients, states);
  }
  if (options.accumulates) accumulate(*step, parameters, gradients);
  parts.backward_end = step->size();
  if (penalty) step->output("penalty", penalty);

  if (rehearsal) {
    scale_kinks(terms, step->input(Rehearsal::factor, {}, f64));
    const std::set<std::string> frozen(options.frozen_zeros.begin(), options.frozen_zeros.end());
    for (size_t i = 0; i < parameters.size(); ++i) {
      const std::string& name = parameters[i].name();
      step->output(Rehearsal::gradient_output(name), norm_inf(gradients[i]));
      if (frozen.contains(name))
        step->output(Rehearsal::live_output(name), norm_inf(where(equal(parameters[i], 0), 0, gradients[i])));
    }
  }

  // A sum over shards leaves them out itself.
  if (sum == nullptr && (options.clip_norm > 0 || optimizer.looks_at_whole_parameters))
    leave_out(staying_zeros(parameters, terms, options), parameters, gradients);
  const auto of_one_step = parameters_of_one_step(terms);
  std::vector<bool> scalar_metric;
  for (Value parameter : parameters) scalar_metric.push_back(of_one_step.contains(parameter.name()));
  const std::vector<ClippedGradient> smooth = clip_gradients(gradients, scalar_metric, options);
  if (options.check_finite) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      guarded.push_back(gradients[i]);
      parts.guarded_gradients.push_back(parameters[i].name());
    }
    rate = build("guard", guarded);
  }
  const Value count = step->state("step", {}, init::zeros(), i32) + step->constant(1, i32);
  step->update("step", count);
  ProxPoints proposals;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const DType dtype = parameters[i].dtype();
    const ParameterGroup own = groups[i] == nullptr ? ParameterGroup{} : *groups[i];
    Value its_rate = cast(rate, dtype);
    if (own.learning_rate && *own.learning_rate != optimizer.learning_rate)
      its_rate = its_rate * (*own.learning_rate / optimizer.learning_rate);
    UpdateContext context(*step, parameters[i], smooth[i].gradient, its_rate, cast(count, dtype),
                          scalar_metric[i], own.weight_decay.value_or(optimizer.weight_decay));
    ProxPoint proposal = optimizer.propose(context);
    if (smooth[i].factor) proposal.step = proposal.step * smooth[i].factor;
    proposal.point = build("require_finite", {proposal.point}, {}, parameters[i].name());
    proposals.emplace(parameters[i].name(), proposal);
  }
  std::map<std::string, Value> updates = proximal_updates(proposals, terms);
  // A prox of several elements makes them of all of these, and may be a plugin's.
  std::set<std::string> structured;
  for (const PenaltyTerm& term : terms)
    if (!term.scalar) structured.insert(term.parameters.begin(), term.parameters.end());
  for (const std::string& name : structured)
    if (Value& next = updates.at(name); next) next = build("require_finite", {next}, {}, name);
  freeze_zeros(updates, options.frozen_zeros);
  if (options.settle_from) settle(updates, parameters, terms);
  for (const auto& [name, next] : updates) step->update(name, next);
  if (sum == nullptr) advance_random(*step);
  for (const Output& output : written.graph().outputs()) {
    const auto state = states.find(output.name);
    if (output.is_update)
      step->update(output.name, state == states.end() ? copy(output.value) : state->second);
    if (!output.is_update && output.name != "loss" && !rehearsal)
      step->output(output.name, copy(output.value));
  }
  if (sum != nullptr) return given_early(*step, parts);
  return step;
}

std::unique_ptr<Graph> rewritten_step(std::unique_ptr<Graph> step, const TrainerOptions& options) {
  const auto outputs_of = [](const Graph& graph) {
    std::vector<std::string> all;
    for (const Output& output : graph.outputs()) {
      const TensorType& type = graph.type(output.value);
      all.push_back(fmt::format("{}{} of {}{}", output.is_update ? "the next " : "", output.name,
                                name_of(type.dtype), text(type.shape)));
    }
    return all;
  };
  for (const StepRewrite& rewrite : options.step_rewrites) {
    std::unique_ptr<Graph> next = rewrite.run(*step);
    if (!next)
      throw UserError(
          fmt::format("the step rewrite '{}' gives no graph; give the step at least", rewrite.name));
    try {
      verify(*next);
    } catch (const InternalError& fault) {
      throw UserError(
          fmt::format("the step rewrite '{}' gives a graph that cannot be: {}", rewrite.name, fault.what()));
    }
    const std::vector<std::string> before = outputs_of(*step), now = outputs_of(*next);
    if (now != before) {
      const auto [was, is] = std::mismatch(before.begin(), before.end(), now.begin(), now.end());
      throw UserError(fmt::format("the step rewrite '{}' gives {} where the step has {}; keep its outputs",
                                  rewrite.name, is == now.end() ? "nothing" : *is,
                                  was == before.end() ? "nothing" : *was));
    }
    step = std::move(next);
  }
  return step;
}

}  // namespace lariat
