#include "autodiff/penalty/loss_terms.hpp"

#include <algorithm>
#include <utility>

#include "graph/ir/op_def.hpp"

namespace lariat {

namespace {

bool adds_up(const Traits& traits) { return traits.additive || traits.selection; }

// Of each node, whether what carries it on meets the parameters outside of penalties in sums only, and no
// penalty's argument.
std::vector<bool> only_weigh(const Graph& graph, const std::vector<bool>& live,
                             const std::vector<bool>& with_parameters) {
  std::vector<bool> bare(graph.size());  // depends on parameters by a path around penalties
  const auto is_penalty = [&](int32_t id) {
    return graph.node(id).op->penalty.has_value() && with_parameters[id];
  };
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const bool any = std::any_of(node.inputs.begin(), node.inputs.end(),
                                 [&](const Edge& edge) { return bare[edge.node]; });
    bare[id] = live[id] && (node.op->traits.source == SourceKind::parameter || (any && !is_penalty(id)));
  }
  // Readers come first.
  std::vector<bool> result(graph.size(), true);
  for (int32_t id = graph.size() - 1; id >= 0; --id) {
    const Node& node = graph.node(id);
    if (!live[id] || node.op->traits.shape_only) continue;
    // What carries must reach the result as it is, beside all others.
    bool linear = true;
    int32_t first_bare = -1;
    bool alone = true;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const int32_t input = node.inputs[i].node;
      if (!bare[input]) continue;
      linear = linear && node.op->traits.is_linear(i);
      alone = alone && (first_bare < 0 || first_bare == input);
      first_bare = input;
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const int32_t input = node.inputs[i].node;
      bool passes = result[id] && !is_penalty(id);
      if (bare[id])
        passes = passes && linear && node.op->traits.is_linear(i) &&
                 (adds_up(node.op->traits) || (bare[input] && alone));
      if (!passes) result[input] = false;
    }
  }
  return result;
}

}  // namespace

bool has_kinks(const Node& node) {
  return !node.op->kinks.empty() || (node.op->penalty && node.op->penalty->nonsmooth);
}

bool makes_whole_numbers(const Graph& graph, const Node& node) {
  return !node.op->traits.shape_only && !node.outputs.empty() && !is_float(node.outputs[0].dtype) &&
         std::any_of(node.inputs.begin(), node.inputs.end(),
                     [&](const Edge& edge) { return is_float(graph.type(edge).dtype); });
}

bool leaps(const Graph& graph, const Node& node) {
  const Traits& traits = node.op->traits;
  return makes_whole_numbers(graph, node) ||
         (traits.stops_gradient && !traits.shape_only && !traits.is_linear(0) && !node.inputs.empty());
}

std::vector<bool> on_parameters(const Graph& graph) {
  std::vector<int32_t> parameters;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::parameter) parameters.push_back(id);
  return dependents(graph, parameters);
}

bool joins_parameters(const Graph& graph, int32_t id, const std::vector<bool>& on_parameters) {
  const std::vector<Edge>& inputs = graph.node(id).inputs;
  return !adds_up(graph.node(id).op->traits) &&
         std::count_if(inputs.begin(), inputs.end(),
                       [&](const Edge& edge) { return bool{on_parameters[edge.node]}; }) > 1;
}

std::vector<int32_t> as_written(Value loss) {
  const Graph& graph = loss.graph();
  std::vector<int32_t> order;
  std::vector<bool> met(static_cast<size_t>(graph.size()));
  // The nodes on the way, each with how many of its inputs are done.
  std::vector<std::pair<int32_t, size_t>> way{{loss.node(), 0}};
  met[loss.node()] = true;
  while (!way.empty()) {
    auto& [id, done] = way.back();
    const std::vector<Edge>& inputs = graph.node(id).inputs;
    if (done == inputs.size()) {
      order.push_back(id);
      way.pop_back();
    } else if (const int32_t input = inputs[done++].node; !met[input]) {
      met[input] = true;
      way.emplace_back(input, 0);
    }
  }
  return order;
}

Paths paths_to(Value loss) {
  const Graph& graph = loss.graph();
  const size_t size = static_cast<size_t>(graph.size());
  Paths paths{std::vector<bool>(size), std::vector<bool>(size)};
  std::vector<bool> used(size), detached(size, true), attached(size, true);
  const std::vector<bool> with_parameters = on_parameters(graph);
  used[loss.node()] = paths.reached[loss.node()] = true;
  for (int32_t id = loss.node(); id >= 0; --id) {
    if (!used[id]) continue;
    const Node& node = graph.node(id);
    const bool cut = makes_whole_numbers(graph, node);
    const bool passes = paths.reached[id] && !node.op->traits.stops_gradient && !cut;
    // What multiplies a value of parameters, under stop_gradient, is a coefficient of it and no term.
    const bool is_product = joins_parameters(graph, id, with_parameters);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const int32_t input = node.inputs[i].node;
      used[input] = true;
      if (!detached[id] || is_product || cut || !node.op->traits.is_linear(i)) detached[input] = false;
      if (!passes) continue;
      paths.reached[input] = true;
      if (!attached[id] || !node.op->traits.is_linear(i)) attached[input] = false;
    }
  }
  for (size_t id = 0; id < size; ++id)
    paths.linear[id] = used[id] && (paths.reached[id] ? attached[id] : detached[id]);
  return paths;
}

std::vector<bool> in_plain_terms(Value loss, const std::vector<bool>& on_data) {
  const Graph& graph = loss.graph();
  const std::vector<bool> linear = paths_to(loss).linear, with_parameters = on_parameters(graph);
  std::vector<bool> result(graph.size());
  for (int32_t id = loss.node(); id >= 0; --id) {
    if (linear[id] && !on_data[id] && with_parameters[id]) result[id] = true;
    if (!result[id]) continue;
    for (const Edge& edge : graph.node(id).inputs) result[edge.node] = true;
  }
  return result;
}

std::vector<ParameterTerm> plain_terms(Value loss, const std::vector<bool>& on_data,
                                       const std::vector<bool>& on_parameters) {
  const Graph& graph = loss.graph();
  std::vector<ParameterTerm> terms;
  std::vector<bool> open(graph.size()), alone(graph.size());  // reached, and without a factor of data
  open[loss.node()] = alone[loss.node()] = true;
  for (int32_t id = loss.node(); id >= 0; --id) {
    if (!open[id]) continue;
    const Node& node = graph.node(id);
    const auto moves = [&](const Edge& edge) { return on_data[edge.node] || on_parameters[edge.node]; };
    const auto moving = std::count_if(node.inputs.begin(), node.inputs.end(), moves);
    bool passes = moving == 1 || adds_up(node.op->traits), linear = !makes_whole_numbers(graph, node);
    for (size_t i = 0; i < node.inputs.size(); ++i)
      linear = linear && (!moves(node.inputs[i]) || node.op->traits.is_linear(i));
    passes = passes && linear;
    if (!passes && !on_data[id] && node.op->traits.source == SourceKind::none)
      terms.push_back({id, !alone[id]});
    // Factors of parameters beside data.
    const bool beside_data = linear && !passes && on_data[id];
    for (const Edge& edge : node.inputs) {
      if (!moves(edge) || !(passes || (beside_data && on_parameters[edge.node]))) continue;
      open[edge.node] = true;
      alone[edge.node] = alone[edge.node] || (passes && alone[id]);
    }
  }
  return terms;
}

std::vector<int32_t> data_inputs(Value loss) {
  const Graph& graph = loss.graph();
  const Edge root{loss.node(), loss.output()};
  const std::vector<bool> live = ancestors(graph, {&root, 1});
  const std::vector<bool> weighs = only_weigh(graph, live, on_parameters(graph));
  std::vector<int32_t> result;
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op->traits.source != SourceKind::input || node.outputs[0].shape.empty()) continue;
    if (is_known(node.outputs[0].shape) && weighs[id]) continue;
    result.push_back(id);
  }
  return result;
}

}  // namespace lariat
