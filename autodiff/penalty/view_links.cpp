#include "autodiff/penalty/penalty_view.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ops/ops.hpp"

namespace lariat {

namespace {

const NotAView detached{"L106", "its argument is under stop_gradient, so its gradient is zero by design",
                        "penalise the parameter itself"};
const NotAView leaping{"L112",
                       "its argument leaps where parameters cross a number, and has no gradient there",
                       "penalise the parameter itself"};

}  // namespace

Link link_of(const Graph& graph, int32_t id, const Dependence& depends) {
  const Node& node = graph.node(id);
  Link link{node.op->traits.selection, {}};
  for (const Edge& edge : node.inputs) link.shows.push_back(depends.attached[edge.node]);
  if (std::none_of(link.shows.begin(), link.shows.end(), [](bool shows) { return shows; }))
    throw depends.varying[id] ? leaping : detached;
  for (size_t i = 0; i < link.shows.size(); ++i)
    if (!link.shows[i] && depends.varying[node.inputs[i].node])
      throw NotAView{"L105",
                     "a comparison with parameters, or what else leaps, switches its elements on and off",
                     "penalise every element, or wrap the condition in stop_gradient"};
  if (link.is_selection) return link;
  link.input = std::find(link.shows.begin(), link.shows.end(), true) - link.shows.begin();
  const Traits& traits = node.op->traits;
  const bool is_of_one = traits.elementwise && std::count(link.shows.begin(), link.shows.end(), true) == 1;
  if (is_of_one && !traits.is_linear(link.input))
    throw NotAView{"L102", fmt::format("its argument is not linear in parameters ('{}')", node.op->name),
                   "penalise the parameter itself"};
  if (!is_of_one || !node.op->vjp)
    throw NotAView{"L102", fmt::format("its argument mixes elements of parameters ('{}')", node.op->name),
                   "penalise each parameter element by element"};
  return link;
}

bool ends_at(const Node& node, int32_t id, const Dependence& depends) {
  if (node.op->traits.source == SourceKind::parameter) {
    if (!depends.is_trained[id])
      throw NotAView{"L109", fmt::format("'{}' is not trained by this optimizer", node.name),
                     "drop the term, or train the parameter"};
    return true;
  }
  if (node.op->traits.stops_gradient || (depends.varying[id] && !depends.attached[id]))
    throw depends.varying[id] ? leaping : detached;
  return false;
}

Value rebuilt(Graph& graph, const Node& node, const std::vector<Value>& inputs, int32_t output) {
  const Value again = graph.add(*node.op, inputs, node.attributes, node.name, node.where);
  return {&graph, again.node(), output};
}

namespace {

// What a link makes of the input that it scales.
ScaledRun scaled_by(Graph& graph, Value value, const Link& link) {
  const Node& node = graph.node(value.node());
  const Value input = graph.value(node.inputs[link.input]);
  std::vector<Value> adjoints(node.outputs.size());
  adjoints[value.output()] = ones_like(value);
  const Value factor = node.op->vjp(GradContext(graph, value.node(), adjoints, link.shows))[link.input];
  ScaledRun result{input, settled(factor), {}, 1};
  // a·w + b is linear in all of its inputs, but not without them.
  const bool shifts = node.op->traits.additive || (node.inputs.size() > 2 && node.op->traits.is_linear(0));
  if (shifts && node.inputs.size() > 1) {
    std::vector<Value> others;
    for (const Edge& edge : node.inputs) others.push_back(graph.value(edge));
    others[link.input] = zeros_like(input);
    result.shift = settled(rebuilt(graph, node, others, value.output()));
    if (uniform_value(result.shift) == 0.0) result.shift = {};
  }
  return result;
}

// Fewer links are followed one by one: a kink stands where the numbers as written put it then, to the bit.
constexpr int64_t shortest_run = 8;

// The run that ends in a value, with its base alone if so asked; each of its links is looked at once.
ScaledRun run_to(Value value, const Dependence& depends, bool with_factors) {
  Graph& graph = value.graph();
  std::vector<std::pair<Value, Link>> links;  // from the value down
  ScaledRun run{value, {}, {}, 0};
  while (run.base.output() == 0) {
    const auto found = depends.runs.find(run.base.node());
    if (found != depends.runs.end() && (found->second.factor || !with_factors || found->second.links == 0)) {
      run = found->second;
      break;
    }
    const Node& node = graph.node(run.base.node());
    if (ends_at(node, run.base.node(), depends)) break;
    Link link = link_of(graph, run.base.node(), depends);
    if (link.is_selection || graph.type(node.inputs[link.input]) != run.base.type()) break;
    links.emplace_back(run.base, std::move(link));
    run.base = graph.value(node.inputs[links.back().second.input]);
  }
  if (!with_factors) run.factor = run.shift = {};
  for (auto at = links.rbegin(); at != links.rend(); ++at) {
    const auto& [scaled, link] = *at;
    ++run.links;
    if (with_factors) {
      const ScaledRun own = scaled_by(graph, scaled, link);
      if (run.shift) run.shift = settled(own.factor * run.shift);
      if (own.shift) run.shift = run.shift ? settled(run.shift + own.shift) : own.shift;
      run.factor = run.factor ? settled(run.factor * own.factor) : own.factor;
    }
    depends.runs[scaled.node()] = run;
  }
  return run;
}

}  // namespace

ScaledRun scaled_behind(Value value, const Link& link, const Dependence& depends) {
  const bool is_long = value.output() == 0 && run_to(value, depends, false).links > shortest_run;
  return is_long ? run_to(value, depends, true) : scaled_by(value.graph(), value, link);
}

Value end_of_run(Value value, const Link& link, const Dependence& depends) {
  const ScaledRun run = value.output() == 0 ? run_to(value, depends, false) : ScaledRun{value, {}, {}, 0};
  return run.links > 0 ? run.base : value.graph().value(node_of(value).inputs[link.input]);
}

}  // namespace lariat
