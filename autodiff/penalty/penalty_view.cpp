#include "autodiff/penalty/penalty_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "autodiff/gradient.hpp"
#include "autodiff/penalty/kink_sums.hpp"
#include "autodiff/penalty/loss_terms.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/constants.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

bool is_uniform(Value value) { return !value || value.rank() == 0; }

// Weights add up where a selection shows an element twice; its places must then be the same.
// `ones` are of the argument's shape, and `full` has weights that were broadcast to it.
using Broadcasts = std::map<std::pair<int32_t, int32_t>, Value>;
ScalarTerm through_selection(const ScalarTerm& term, const std::function<Value(Value)>& back, Value argument,
                             Value ones, Broadcasts& full) {
  std::optional<Tensor> times;
  const auto shown = [&]() -> const Tensor& {
    if (!times) {
      const std::optional<Tensor> counted = constant_value(back(ones));
      if (!counted && !is_known(argument.shape()))
        throw NotAView{
            "L102",
            fmt::format("its argument is {}: it shifts or bounds elements that it repeats as often "
                        "as the data say",
                        text(argument.shape())),
            "shift and bound the parameter before it is repeated"};
      if (!counted)
        throw NotAView{"L102", "its argument picks elements of parameters by numbers that are not constants",
                       "pick them by constants"};
      times = *counted;
    }
    return *times;
  };
  const auto place = [&](Value at) {
    if (is_uniform(at)) return at;
    for (int64_t i = 0; i < shown().count(); ++i)
      if (shown().at(i) > 1)
        throw NotAView{"L102", "its argument shows an element of a parameter twice, with different shifts",
                       "write one term for each shift"};
    return back(at);
  };
  const auto weight = [&](Value value) {
    if (!value || value.shape() == argument.shape()) return value ? back(value) : value;
    Value& broadcast = full[{value.node(), value.output()}];
    if (!broadcast) broadcast = broadcast_to(value, argument.shape());
    return back(broadcast);
  };
  ScalarTerm result{weight(term.quadratic), {}, {}, {}};
  for (const ScalarTerm::Kink& kink : term.kinks)
    result.kinks.push_back({place(kink.at), weight(kink.below), weight(kink.above)});
  if (term.low || term.high) {
    const Value covered = argument.graph().constant(shown());
    const auto limit = [&](Value value, double none) {
      if (!value) return value;
      const Value limit = is_uniform(value) ? value : place(value);
      return where(greater(covered, 0), limit, none);
    };
    result.low = limit(term.low, -std::numeric_limits<double>::infinity());
    result.high = limit(term.high, std::numeric_limits<double>::infinity());
  }
  return result;
}

bool is_nowhere_zero(Value factor) {
  const std::optional<Tensor> constant = constant_value(factor);
  for (int64_t i = 0; constant && i < constant->count(); ++i)
    if (constant->at(i) == 0) return false;
  return constant.has_value();
}

// φ(c·w + s): places move by −s and are divided by c; slopes are multiplied by c, and change sides where c is
// negative.
ScalarTerm through_scale(const ScalarTerm& term, Value factor, Value shift) {
  const std::optional<double> number = uniform_value(factor);
  const bool negative = number && *number < 0, positive = number && *number > 0;
  const auto place = [&](Value at, bool always) {
    if (!at && !shift && !always) return Value();
    Value moved = at ? at : zeros_like(factor);
    if (shift) moved = moved - shift;
    if (number && *number == 1) return moved;
    return positive || negative ? moved / factor : where(equal(factor, 0), 0, moved / factor);
  };
  ScalarTerm result;
  if (term.quadratic) {
    if (shift)
      throw NotAView{"L102", "a square around another point than 0 is part of the smooth loss", "leave it"};
    result.quadratic = term.quadratic * square(factor);
  }
  for (const ScalarTerm::Kink& kink : term.kinks) {
    ScalarTerm::Kink next{place(kink.at, false), {}, {}};
    if (!kink.below) {
      next.above = kink.above * abs(factor);
    } else {
      const Value one = kink.below * factor, other = kink.above * factor;
      next.below = positive ? one : negative ? other : minimum(one, other);
      next.above = positive ? other : negative ? one : maximum(one, other);
    }
    result.kinks.push_back(next);
  }
  if (term.low || term.high) {
    result.low = negative ? term.high : term.low;
    result.high = negative ? term.low : term.high;
    if (result.low) result.low = place(result.low, true);
    if (result.high) result.high = place(result.high, true);
    if (!positive && !negative) {
      if (!is_nowhere_zero(factor))
        throw NotAView{"L102", "a bound holds for elements that are scaled by 0, or by numbers that are fed",
                       "bound the parameter itself"};
      constexpr double infinity = std::numeric_limits<double>::infinity();
      const Value low = result.low ? result.low : where(greater(factor, 0), -infinity, infinity),
                  high = result.high ? result.high : where(greater(factor, 0), infinity, -infinity);
      result.low = minimum(low, high), result.high = maximum(low, high);
    }
  }
  return result;
}

}  // namespace

void extend(Dependence& depends, const Graph& graph) {
  const auto from = static_cast<int32_t>(depends.is_trained.size());
  for (std::vector<bool>* flags :
       {&depends.on_data, &depends.on_random, &depends.on_parameters, &depends.attached, &depends.on_trained,
        &depends.varying, &depends.is_trained})
    flags->resize(graph.size());
  for (int32_t id = from; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const Traits& traits = node.op->traits;
    if (traits.shape_only) continue;
    const bool detaches = traits.stops_gradient && traits.is_linear(0);
    const bool stops = traits.stops_gradient || makes_whole_numbers(graph, node);
    const auto pass_on = [&](std::vector<bool>& flags, const Edge& edge) {
      if (flags[edge.node]) flags[id] = true;
    };
    for (const Edge& edge : node.inputs) {
      pass_on(depends.on_data, edge);
      pass_on(depends.on_random, edge);
      pass_on(depends.on_parameters, edge);
      if (!stops) pass_on(depends.attached, edge);
      if (!stops) pass_on(depends.on_trained, edge);
      if (!detaches) pass_on(depends.varying, edge);
    }
  }
}

Dependence dependence(Value loss, const std::vector<Value>& parameters) {
  const Graph& graph = loss.graph();
  const auto size = static_cast<size_t>(graph.size());
  Dependence depends;
  depends.on_data = depends.on_random = depends.on_parameters = depends.attached = depends.on_trained =
      depends.varying = std::vector<bool>(size);
  for (int32_t id : data_inputs(loss)) depends.on_data[id] = true;
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op->traits.source == SourceKind::state && node.name == random_state_name)
      depends.on_random[id] = true;
    if (node.op->traits.source == SourceKind::parameter)
      depends.on_parameters[id] = depends.attached[id] = true;
  }
  for (Value parameter : parameters)
    depends.on_trained[parameter.node()] = depends.varying[parameter.node()] = true;
  extend(depends, graph);
  for (Value parameter : parameters) depends.is_trained[parameter.node()] = true;
  return depends;
}

std::optional<Tensor> constant_value(Value value) {
  const Graph& graph = value.graph();
  if (graph.node(value.node()).op->traits.source == SourceKind::constant)
    return graph.node(value.node()).attributes.get<Tensor>("value");
  if (!is_constant(value)) return std::nullopt;
  Graph alone;
  std::unordered_map<int32_t, int32_t> copies;
  for (int32_t id : nodes_behind(value)) {
    const Node& node = graph.node(id);
    std::vector<Value> inputs;
    for (const Edge& edge : node.inputs) inputs.push_back({&alone, copies.at(edge.node), edge.output});
    copies[id] = alone.add(*node.op, inputs, node.attributes, node.name, node.where).node();
  }
  alone.output("value", {&alone, copies.at(value.node()), value.output()});
  return evaluate_constant(alone)[0];
}

Value repeated_value(Value value) {
  while (true) {
    const Node& node = value.graph().node(value.node());
    if (node.op->name != "broadcast_to" || !is_known(value.shape())) return value;
    // Of no elements it tells nothing.
    const Extents extents = evaluate(value.shape(), {});
    if (std::ranges::find(extents, 0) != extents.end()) return value;
    value = value.graph().value(node.inputs[0]);
  }
}

std::optional<double> uniform_value(Value value) {
  const std::optional<Tensor> constant = constant_value(repeated_value(value));
  if (!constant || constant->count() == 0) return std::nullopt;
  for (int64_t i = 1; i < constant->count(); ++i)
    if (constant->at(i) != constant->at(0)) return std::nullopt;
  return constant->at(0);
}

std::optional<double> infinite_element(Value value) {
  const std::optional<Tensor> constant = constant_value(repeated_value(value));
  for (int64_t i = 0; constant && i < constant->count(); ++i)
    if (!std::isfinite(constant->at(i))) return std::abs(constant->at(i));
  return std::nullopt;
}

Value settled(Value value) {
  if (const std::optional<double> number = uniform_value(value))
    return value.graph().constant(Tensor::scalar(*number, value.dtype()));
  const std::optional<Tensor> constant = constant_value(value);
  return constant ? value.graph().constant(*constant) : value;
}

std::map<int32_t, ScalarTerm> carry_to_parameters(Value argument, const ScalarTerm& term,
                                                  const Dependence& depends) {
  Graph& graph = argument.graph();
  std::map<int32_t, ScalarSum> found;
  // From the last node on: what several ways lead to is carried on once.
  struct Carried {
    ScalarSum sum;
    int ways = 0;
  };
  std::map<std::pair<int32_t, int32_t>, Carried, std::greater<>> pending;
  const auto carry_to = [&](Value value, const ScalarTerm& carried) {
    Carried& there = pending[{value.node(), value.output()}];
    there.sum.add(carried);
    ++there.ways;
  };
  carry_to(argument, term);
  while (!pending.empty()) {
    const auto next = pending.extract(pending.begin());
    const Value value(&graph, next.key().first, next.key().second);
    const Node node = graph.node(value.node());
    if (ends_at(node, value.node(), depends)) {
      found.emplace(value.node(), next.mapped().sum);
      continue;
    }
    ScalarTerm carried = next.mapped().sum.sum();
    if (next.mapped().ways > 1) carried = settled_term(std::move(carried));
    const Link link = link_of(graph, value.node(), depends);
    const auto vjp = [&, value = value](Value adjoint) {
      std::vector<Value> adjoints(node.outputs.size());
      adjoints[value.output()] = adjoint;
      return node.op->vjp(GradContext(graph, value.node(), adjoints, link.shows));
    };
    if (link.is_selection) {
      // One for all inputs, of which there may be many.
      std::map<std::pair<int32_t, int32_t>, Adjoints> known;
      const Value ones = ones_like(value);
      const auto back_to = [&](size_t input, Value adjoint) {
        const auto [found, fresh] = known.try_emplace({adjoint.node(), adjoint.output()});
        if (fresh) found->second = vjp(adjoint);
        return found->second[input];
      };
      Broadcasts full;
      for (size_t i = 0; i < link.shows.size(); ++i) {
        if (!link.shows[i] || !back_to(i, ones)) continue;
        carry_to(graph.value(node.inputs[i]),
                 through_selection(
                     carried, [&](Value v) { return back_to(i, v); }, value, ones, full));
      }
      continue;
    }
    const ScaledRun run = scaled_behind(value, link, depends);
    const Value input = run.base;
    ScalarTerm scaled = through_scale(carried, run.factor, run.shift);
    if (input.type() != value.type()) {
      Broadcasts full;
      scaled = through_selection(
          scaled, [&](Value v) { return sum_to(v, input.shape()); }, value, ones_like(value), full);
    }
    // Constants stay constants, however long the way is.
    carry_to(input, settled_term(std::move(scaled)));
  }
  std::map<int32_t, ScalarTerm> result;
  for (const auto& [parameter, sum] : found) result.emplace(parameter, sum.sum());
  return result;
}

std::vector<int32_t> shown_parameters(Value argument, const Dependence& depends) {
  const Graph& graph = argument.graph();
  std::vector<int32_t> found, pending{argument.node()};
  std::unordered_set<int32_t> seen;
  while (!pending.empty()) {
    const int32_t id = pending.back();
    pending.pop_back();
    if (!seen.insert(id).second) continue;
    if (ends_at(graph.node(id), id, depends)) {
      found.push_back(id);
      continue;
    }
    const Link link = link_of(graph, id, depends);
    if (!link.is_selection) {
      pending.push_back(end_of_run({&argument.graph(), id}, link, depends).node());
      continue;
    }
    for (size_t i = 0; i < link.shows.size(); ++i)
      if (link.shows[i]) pending.push_back(graph.node(id).inputs[i].node);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<Value> parameters_behind(Value value) {
  Graph& graph = value.graph();
  std::vector<Value> parameters;
  for (int32_t id : nodes_behind(value))
    if (graph.node(id).op->traits.source == SourceKind::parameter) parameters.push_back({&graph, id});
  return parameters;
}

Value substitute(Value value, const std::map<int32_t, Value>& replaced, Shifts shifts) {
  Graph& graph = value.graph();
  std::map<int32_t, Value> again = replaced;  // output 0 of each node that is built once more
  const auto now = [&](Edge edge) {
    const auto found = again.find(edge.node);
    return found == again.end() ? graph.value(edge)
                                : Value(&graph, found->second.node(),
                                        replaced.contains(edge.node) ? found->second.output() : edge.output);
  };
  for (int32_t id : nodes_behind(value)) {
    const Node node = graph.node(id);
    if (replaced.contains(id) || node.op->traits.shape_only ||
        std::none_of(node.inputs.begin(), node.inputs.end(),
                     [&](const Edge& edge) { return again.contains(edge.node); }))
      continue;
    const bool shifting =
        shifts == Shifts::dropped && (node.op->traits.additive || node.op->traits.selection);
    std::vector<Value> inputs;
    for (const Edge& edge : node.inputs) {
      const Value input = now(edge);
      inputs.push_back(shifting && !again.contains(edge.node) && is_float(input.dtype()) ? zeros_like(input)
                                                                                         : input);
    }
    again[id] = rebuilt(graph, node, inputs, 0);
  }
  return now({value.node(), value.output()});
}

std::optional<Coefficient> coefficient_of(Value value) {
  if (const std::optional<double> number = uniform_value(value)) return Coefficient{*number, ""};
  Graph& graph = value.graph();
  Value input;
  // No further than to a second input: what is behind that may be long.
  std::vector<int32_t> nodes{value.node()};
  std::unordered_set<int32_t> seen{value.node()};
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = graph.node(nodes[i]);
    for (const Edge& edge : node.inputs)
      if (!graph.is_constant(edge.node) && seen.insert(edge.node).second) nodes.push_back(edge.node);
    if (node.op->traits.source == SourceKind::none) continue;
    if (node.op->traits.source != SourceKind::input || input || !node.outputs[0].shape.empty())
      return std::nullopt;
    input = {&graph, nodes[i]};
  }
  if (!input) return std::nullopt;
  const auto at = [&](double number) -> std::optional<double> {
    try {
      return uniform_value(substitute(value, {{input.node(), graph.constant(number, input.dtype())}}));
    } catch (const UserError&) {
      return std::nullopt;  // as 1 - λ, which may not be negative, of 2
    }
  };
  // A multiple of it, with no bend on the way.
  const std::optional<double> one = at(1);
  if (!one) return std::nullopt;
  for (const double number : {0x1p-20, 2.0, 0x1p20})
    if (const std::optional<double> there = at(number); !there || *there != number * *one)
      return std::nullopt;
  return Coefficient{*one, input.name()};
}

}  // namespace lariat
