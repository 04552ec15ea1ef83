#include "autodiff/gradient.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>

#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/op_def.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// The nodes through which a change of one of `wrt` reaches others; stop_gradient does not let it through.
// Only what the loss depends on is looked at: many small gradients may be taken in a graph of any size.
std::unordered_set<int32_t> carriers(Value loss, std::span<const Value> wrt) {
  const Graph& graph = loss.graph();
  std::unordered_set<int32_t> result;
  for (Value value : wrt) result.insert(value.node());
  for (int32_t id : nodes_behind(loss, false)) {
    const Node& node = graph.node(id);
    if (node.op->traits.stops_gradient) continue;
    if (std::any_of(node.inputs.begin(), node.inputs.end(), [&](const Edge& edge) {
          return result.contains(edge.node) && is_float(graph.type(edge).dtype);
        }))
      result.insert(id);
  }
  return result;
}

std::string output_name(const OpDef& op, size_t output) {
  return output < op.outputs.size() ? op.outputs[output].name : std::to_string(output);
}

}  // namespace

std::vector<Value> gradient(Value loss, std::span<const Value> wrt, std::span<const Value> cut,
                            std::vector<int32_t>* gradient_of) {
  Graph& graph = loss.graph();
  if (!loss.shape().empty())
    throw UserError("the gradient of a value of shape " + text(loss.shape()) +
                    " was asked for; reduce it to a scalar with sum or mean");
  if (!is_float(loss.dtype())) throw UserError("the gradient of an i32 value was asked for; cast it to f32");
  for (Value value : wrt)
    if (!value || &value.graph() != &graph)
      throw UserError("a gradient was asked for by a value of another graph than the loss's");
  const std::unordered_set<int32_t> carriers_of_wrt = carriers(loss, wrt);
  const auto carries = [&](int32_t id) { return carriers_of_wrt.contains(id); };
  const Edge root{loss.node(), loss.output()};

  std::map<int32_t, std::vector<Value>> adjoints;  // by node, for nodes not yet passed
  std::map<std::pair<int32_t, int32_t>, Value> wanted;
  for (Value value : wrt) wanted[{value.node(), value.output()}] = {};
  std::unordered_set<int32_t> is_cut;
  for (Value value : cut) is_cut.insert(value.node());

  const auto accumulate = [&](Edge edge, Value adjoint) {
    auto& slots = adjoints.try_emplace(edge.node, graph.node(edge.node).outputs.size()).first->second;
    Value& slot = slots[edge.output];
    slot = slot ? slot + adjoint : adjoint;
  };
  accumulate(root, graph.constant(1.0, loss.dtype()));

  while (!adjoints.empty()) {
    const int32_t id = adjoints.rbegin()->first;
    std::vector<Value> given = std::move(adjoints.rbegin()->second);
    adjoints.erase(std::prev(adjoints.end()));
    for (size_t o = 0; o < given.size(); ++o)
      if (const auto found = wanted.find({id, static_cast<int32_t>(o)}); found != wanted.end())
        found->second = given[o];
    const OpDef& op = *graph.node(id).op;
    if (!carries(id) || is_cut.contains(id) || op.traits.source != SourceKind::none ||
        op.traits.stops_gradient)
      continue;

    const std::vector<Edge> inputs = graph.node(id).inputs;
    std::vector<bool> needed;
    for (const Edge& edge : inputs) needed.push_back(carries(edge.node) && is_float(graph.type(edge).dtype));
    if (std::none_of(needed.begin(), needed.end(), [](bool n) { return n; })) continue;
    if (!op.vjp)
      throw UserError(place_of(graph.node(id)) +
                      "has no gradient; put stop_gradient around it or choose another op");
    // What is saved for the backward pass is a function of the inputs that no vjp differentiates.
    for (size_t o = op.traits.saved_outputs; o < given.size(); ++o)
      if (given[o])
        throw UserError(fmt::format(
            "{}has no gradient of its output '{}', of which its first derivative is made, so that "
            "it cannot be differentiated twice; put stop_gradient around that or choose another op",
            place_of(graph.node(id)), output_name(op, o)));
    const int32_t first = graph.size();
    const Adjoints results = op.vjp(GradContext(graph, id, std::move(given), needed));
    // The user knows the line of the node, not that of its record.
    for (int32_t added = first; added < graph.size(); ++added) graph.set_where(added, graph.node(id).where);
    if (gradient_of) {
      gradient_of->resize(first, -1);
      gradient_of->resize(graph.size(), id);
    }
    require(results.size() == inputs.size(),
            "a vjp returns another number of adjoints than its op has inputs");
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!results[i] || !needed[i]) continue;
      const Shape shape = graph.type(inputs[i]).shape;
      accumulate(inputs[i], results[i].shape() == shape ? results[i] : sum_to(results[i], shape));
    }
  }

  std::vector<Value> result;
  for (Value value : wrt) {
    const Value found = wanted.at({value.node(), value.output()});
    result.push_back(found ? found : zeros_like(value));
  }
  return result;
}

std::vector<Value> gradient(Value loss, std::initializer_list<Value> wrt) {
  return gradient(loss, std::span<const Value>(wrt.begin(), wrt.size()));
}

}  // namespace lariat
