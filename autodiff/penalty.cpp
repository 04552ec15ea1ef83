#include "autodiff/penalty.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "autodiff/gradient.hpp"
#include "graph/error.hpp"
#include "graph/exec/program.hpp"
#include "ops/ops.hpp"

namespace lariat {

std::optional<Tensor> constant_value(Value value) {
  const Graph& graph = value.graph();
  const Edge root{value.node(), value.output()};
  const std::vector<bool> live = ancestors(graph, {&root, 1});
  for (int32_t id = 0; id <= root.node; ++id) {
    if (!live[id]) continue;
    const Node& node = graph.node(id);
    const SourceKind kind = node.op->traits.source;
    if (kind != SourceKind::none && kind != SourceKind::constant) return std::nullopt;
    for (const TensorType& type : node.outputs)
      if (!is_known(type.shape)) return std::nullopt;  // it counts examples, say
  }
  Graph alone;
  GraphCopy copy(graph, alone);
  for (int32_t id = 0; id <= root.node; ++id)
    if (live[id]) copy.copy(id);
  alone.output("value", copy(value));
  return evaluate_constant(alone)[0];
}

namespace {

struct Dependence {
  // on_trained: by a path that gradients take, so not through stop_gradient.
  std::vector<bool> on_data, on_parameters, on_trained;
};

std::vector<bool> reached_by_gradients(const Graph& graph, const std::vector<int32_t>& sources) {
  std::vector<bool> reached(graph.size());
  for (int32_t id : sources) reached[id] = true;
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op->traits.stops_gradient) continue;
    for (const Edge& edge : node.inputs)
      if (reached[edge.node]) reached[id] = true;
  }
  return reached;
}

Dependence dependence(const Graph& graph, const std::vector<Value>& parameters) {
  std::vector<int32_t> data, all, trained;
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    // A scalar input is a coefficient that the host schedules, not data.
    if (node.op->traits.source == SourceKind::input && !node.outputs[0].shape.empty()) data.push_back(id);
    if (node.op->traits.source == SourceKind::parameter) all.push_back(id);
  }
  for (Value parameter : parameters) trained.push_back(parameter.node());
  return {dependents(graph, data), dependents(graph, all), reached_by_gradients(graph, trained)};
}

struct Paths {
  // reached: by paths that gradients take back from the loss; linear: the loss depends linearly on the node
  // along every such path, or along every path at all where there is none.
  std::vector<bool> reached, linear;
};

// Where the loss depends linearly on a node whose adjoint is free of the parameters, that adjoint is the
// term's exact coefficient.
Paths paths_to(Value loss) {
  const Graph& graph = loss.graph();
  const size_t size = static_cast<size_t>(graph.size());
  Paths paths{std::vector<bool>(size), std::vector<bool>(size)};
  std::vector<bool> used(size), detached(size, true), attached(size, true);
  used[loss.node()] = paths.reached[loss.node()] = true;
  for (int32_t id = loss.node(); id >= 0; --id) {
    if (!used[id]) continue;
    const Node& node = graph.node(id);
    const bool passes = paths.reached[id] && !node.op->traits.stops_gradient;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const int32_t input = node.inputs[i].node;
      used[input] = true;
      if (!detached[id] || !node.op->traits.is_linear(i)) detached[input] = false;
      if (!passes) continue;
      paths.reached[input] = true;
      if (!attached[id] || !node.op->traits.is_linear(i)) attached[input] = false;
    }
  }
  for (size_t id = 0; id < size; ++id)
    paths.linear[id] = used[id] && (paths.reached[id] ? attached[id] : detached[id]);
  return paths;
}

struct NotAView {
  std::string code, reason, advice;
};

// Carries the weights of a penalty's argument back to the parameters it shows: through views by their vjp
// (slices add up where they overlap), through constant factors c by |c|^degree.
std::map<int32_t, Value> weights_of_parameters(Value argument, Value weight, const Penalty& penalty,
                                               const Dependence& depends,
                                               const std::vector<Value>& parameters) {
  Graph& graph = argument.graph();
  std::map<int32_t, Value> found;
  std::vector<std::pair<Value, Value>> pending{{argument, weight}};
  while (!pending.empty()) {
    const auto [value, carried] = pending.back();
    pending.pop_back();
    const Node node = graph.node(value.node());
    if (node.op->traits.source == SourceKind::parameter) {
      const bool trained = std::any_of(parameters.begin(), parameters.end(),
                                       [&](Value p) { return p.node() == value.node(); });
      if (!trained)
        throw NotAView{"L109", fmt::format("'{}' is not trained by this optimizer", node.name),
                       "drop the term, or train the parameter"};
      Value& sum = found[value.node()];
      sum = sum ? sum + carried : carried;
      continue;
    }
    if (node.op->traits.stops_gradient)
      throw NotAView{"L106", "its argument is under stop_gradient, so its gradient is zero by design",
                     "penalise the parameter itself"};
    std::vector<bool> shows;
    for (const Edge& edge : node.inputs) shows.push_back(depends.on_parameters[edge.node]);
    const auto shown = std::count(shows.begin(), shows.end(), true);
    const std::vector<Value> unit{node.op->traits.selection ? carried : ones_like(value)};
    if (node.op->traits.selection) {
      const Adjoints back = node.op->vjp(GradContext(graph, value.node(), unit, shows));
      for (size_t i = 0; i < shows.size(); ++i)
        if (shows[i] && back[i]) pending.push_back({graph.value(node.inputs[i]), back[i]});
      continue;
    }
    size_t at = std::find(shows.begin(), shows.end(), true) - shows.begin();
    const bool scales = node.op->traits.elementwise && shown == 1 && node.op->traits.is_linear(at) &&
                        node.op->vjp && graph.type(node.inputs[at]) == node.outputs[0];
    if (scales && node.op->traits.additive && node.inputs.size() > 1)
      throw NotAView{"L102", "its kink is shifted away from zero, which this optimizer step does not rewrite",
                     "penalise the parameter's difference as a parameter of its own"};
    if (!scales)
      throw NotAView{"L102", fmt::format("its argument mixes elements of parameters ('{}')", node.op->name),
                     "penalise each parameter element by element"};
    const Value factor = node.op->vjp(GradContext(graph, value.node(), unit, shows))[at];
    const Value magnitude = penalty.degree == 1 ? abs(factor) : square(factor);
    pending.push_back({graph.value(node.inputs[at]), carried * magnitude});
  }
  return found;
}

void check_sign(const PenaltyTerm& term, const std::optional<Tensor>& weight) {
  if (!weight) return;
  for (int64_t i = 0; i < weight->count(); ++i)
    if (weight->at(i) < 0)
      throw UserError(fmt::format(
          "L104: the coefficient of {} on '{}' is {:.6g}; a penalty needs a coefficient of 0 or more",
          term.penalty->formula, term.parameter, weight->at(i)));
}

}  // namespace

PenaltySplit split_penalties(Value loss, const std::vector<Value>& parameters) {
  Graph& graph = loss.graph();
  const Dependence depends = dependence(graph, parameters);
  const auto [reached, linear] = paths_to(loss);

  PenaltySplit split;
  std::vector<int32_t> candidates;
  const auto refuse = [&](int32_t id, std::string code, std::string reason, std::string advice) {
    const Node& node = graph.node(id);
    if (node.op->penalty->nonsmooth)
      split.refusals.push_back(
          {std::move(code), node.op->name, std::move(reason), std::move(advice), node.where});
  };
  const Edge root{loss.node(), loss.output()};
  const std::vector<bool> used = ancestors(graph, {&root, 1});
  for (int32_t id = 0; id <= loss.node(); ++id) {
    const Node& node = graph.node(id);
    if (!used[id] || !node.op->penalty || !depends.on_parameters[id]) continue;
    if (!reached[id]) {
      if (linear[id])
        refuse(id, "L106", "it is under stop_gradient, so its gradient is zero by design",
               "take stop_gradient away, or drop the term");
    } else if (depends.on_data[id]) {
      if (linear[id])
        refuse(id, "L101", "its argument depends on the data",
               "only terms of parameters alone have a prox; nothing to do for a data loss");
    } else if (!linear[id]) {
      if (depends.on_trained[id])
        refuse(id, "L105", "the loss does not depend on it linearly: it sits under another function",
               "add the penalty to the loss itself");
    } else {
      candidates.push_back(id);
    }
  }
  if (candidates.empty()) return split;

  std::vector<Value> nodes;
  for (int32_t id : candidates) nodes.push_back({&graph, id});
  const std::vector<Value> adjoints = gradient(loss, nodes, nodes);
  const Dependence after = dependence(graph, parameters);  // the adjoints' nodes are there as well
  for (size_t i = 0; i < nodes.size(); ++i) {
    const int32_t id = candidates[i];
    const Penalty& penalty = *graph.node(id).op->penalty;
    if (after.on_trained[adjoints[i].node()]) {
      refuse(id, "L103", "its coefficient is itself trained, and would shrink to zero",
             "make the coefficient a constant or a fed scalar, or wrap it in stop_gradient");
      continue;
    }
    if (after.on_data[adjoints[i].node()]) {
      refuse(id, "L101", "its coefficient depends on the data",
             "make the coefficient a constant or a fed scalar");
      continue;
    }
    const Value argument = graph.value(graph.node(id).inputs[0]);
    Value weight = adjoints[i];
    if (weight.shape() != argument.shape()) weight = broadcast_to(weight, argument.shape());
    try {
      for (const auto& [parameter, own] :
           weights_of_parameters(argument, weight, penalty, after, parameters)) {
        PenaltyTerm term{nodes[i], &penalty,     graph.node(parameter).name,
                         own,      std::nullopt, graph.node(id).where};
        const std::optional<Tensor> constant = constant_value(own);
        check_sign(term, constant);
        if (!constant) {
          term.weight = build("require_nonnegative", {Operand(own, graph.node(id).where)});
        } else if (constant->count() > 0) {
          bool uniform = true;
          for (int64_t k = 1; k < constant->count(); ++k) uniform &= constant->at(k) == constant->at(0);
          if (uniform) {
            term.coefficient = constant->at(0);
            term.weight = graph.constant(Tensor::scalar(constant->at(0), constant->dtype()));
          } else {
            term.weight = graph.constant(*constant);
          }
        }
        split.terms.push_back(std::move(term));
      }
    } catch (const NotAView& why) {
      std::erase_if(split.terms, [&](const PenaltyTerm& term) { return term.node == nodes[i]; });
      refuse(id, why.code, why.reason, why.advice);
    }
  }

  // A node cut for one parameter is cut for all it shows, so smooth terms stay only where every parameter
  // they show has a kink from another term.
  const auto has_kink = [&](const std::string& parameter) {
    return std::any_of(split.terms.begin(), split.terms.end(), [&](const PenaltyTerm& term) {
      return term.parameter == parameter && term.penalty->nonsmooth;
    });
  };
  std::vector<Value> keep_gradient;
  for (const PenaltyTerm& term : split.terms)
    if (!has_kink(term.parameter)) keep_gradient.push_back(term.node);
  std::erase_if(split.terms, [&](const PenaltyTerm& term) {
    return std::find(keep_gradient.begin(), keep_gradient.end(), term.node) != keep_gradient.end();
  });
  return split;
}

}  // namespace lariat
