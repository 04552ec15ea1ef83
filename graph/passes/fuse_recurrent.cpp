#include "graph/passes/fuse_recurrent.hpp"

#include <algorithm>
#include <memory>

#include "graph/op_def.hpp"
#include "graph/print.hpp"

namespace lariat {

namespace {

// The nodes of one chain, step by step.
using Chain = std::vector<int32_t>;

bool is_state_input(const Recurrence& recurrence, size_t input) {
  const auto& states = recurrence.state_inputs;
  return std::find(states.begin(), states.end(), input) != states.end();
}

// Whether `node` is the step after `before`: the same op with the same weights, going on from its states.
bool follows(const Graph& graph, int32_t before, int32_t node) {
  const Node &a = graph.node(before), &b = graph.node(node);
  if (a.op != b.op) return false;
  const Recurrence& recurrence = *b.op->recurrence;
  for (size_t s = 0; s < recurrence.state_inputs.size(); ++s)
    if (b.inputs[recurrence.state_inputs[s]] != Edge{before, static_cast<int32_t>(s)}) return false;
  for (size_t i = 0; i < b.inputs.size(); ++i)
    if (i != recurrence.step_input && !is_state_input(recurrence, i) && a.inputs[i] != b.inputs[i])
      return false;
  return std::all_of(a.attributes.begin(), a.attributes.end(), [&](const auto& attribute) {
    return to_text(attribute.second) == to_text(*b.attributes.find(attribute.first));
  });
}

// Nodes that cannot be computed before node `first`.
std::vector<bool> reachable_from(const Graph& graph, int32_t first) {
  std::vector<bool> reached(graph.size());
  reached[first] = true;
  for (int32_t id = first + 1; id < graph.size(); ++id)
    for (const Edge& edge : graph.node(id).inputs) reached[id] = reached[id] || reached[edge.node];
  return reached;
}

// Whether someone reads what only the single step computes, such as its gates.
std::vector<bool> read_beyond_states(const Graph& graph) {
  std::vector<bool> result(graph.size());
  const auto look = [&](Edge edge) {
    const auto& recurrence = graph.node(edge.node).op->recurrence;
    if (recurrence && edge.output >= static_cast<int32_t>(recurrence->state_inputs.size()))
      result[edge.node] = true;
  };
  for (int32_t id = 0; id < graph.size(); ++id)
    for (const Edge& edge : graph.node(id).inputs) look(edge);
  for (const Output& output : graph.outputs()) look(output.value);
  return result;
}

Chain find_chain(const Graph& graph) {
  const std::vector<bool> opaque = read_beyond_states(graph);
  const auto readers = users(graph);
  const auto next_of = [&](int32_t id) {
    for (int32_t reader : readers[id])
      if (graph.node(reader).op->recurrence && !opaque[reader] && follows(graph, id, reader)) return reader;
    return -1;
  };
  std::vector<bool> seen(graph.size());
  for (int32_t id = 0; id < graph.size(); ++id) {
    const auto& recurrence = graph.node(id).op->recurrence;
    if (!recurrence || opaque[id] || seen[id]) continue;
    Chain chain{id};
    const std::vector<bool> later = reachable_from(graph, id);
    // A step whose input depends on the chain itself cannot join it.
    for (int32_t next = next_of(id);
         next >= 0 && !later[graph.node(next).inputs[recurrence->step_input].node]; next = next_of(next)) {
      chain.push_back(next);
      seen[next] = true;
    }
    if (chain.size() > 1) return chain;
  }
  return {};
}

// The chain's states at each step that someone outside reads, by step and state.
std::vector<std::vector<int64_t>> steps_read(const Graph& graph, const Chain& chain) {
  const size_t states = graph.node(chain[0]).op->recurrence->state_inputs.size();
  std::vector<int64_t> step_of(graph.size(), -1);
  for (size_t t = 0; t < chain.size(); ++t) step_of[chain[t]] = static_cast<int64_t>(t);
  std::vector<std::vector<bool>> read(states, std::vector<bool>(chain.size()));
  const auto look = [&](Edge edge, int64_t reader_step) {
    const int64_t step = step_of[edge.node];
    if (step >= 0 && reader_step != step + 1) read[edge.output][step] = true;
  };
  for (int32_t id = 0; id < graph.size(); ++id)
    for (const Edge& edge : graph.node(id).inputs) look(edge, step_of[id]);
  for (const Output& output : graph.outputs()) look(output.value, -1);
  std::vector<std::vector<int64_t>> result(states);
  for (size_t s = 0; s < states; ++s)
    for (size_t t = 0; t < chain.size(); ++t)
      if (read[s][t]) result[s].push_back(static_cast<int64_t>(t));
  return result;
}

// Copies `from` with the chain as one node over the sequence.
void fuse(const Graph& from, Graph& to, const Chain& chain) {
  const Node& first = from.node(chain[0]);
  const Recurrence& recurrence = *first.op->recurrence;
  const std::vector<bool> later = reachable_from(from, chain[0]);
  GraphCopy copy(from, to);
  for (int32_t id = 0; id < from.size(); ++id)
    if (!later[id]) copy.copy(id);

  std::vector<Value> steps, initial, shared;
  for (int32_t id : chain) steps.push_back(copy(from.node(id).inputs[recurrence.step_input]));
  for (size_t input : recurrence.state_inputs) initial.push_back(copy(first.inputs[input]));
  for (size_t i = 0; i < first.inputs.size(); ++i)
    if (i != recurrence.step_input && !is_state_input(recurrence, i)) shared.push_back(copy(first.inputs[i]));
  const std::vector<Value> sequences =
      recurrence.sequence({steps, initial, shared, first.attributes, first.name, first.where});

  std::vector<std::vector<Value>> states(chain.size(), std::vector<Value>(first.outputs.size()));
  const auto read = steps_read(from, chain);
  for (size_t s = 0; s < sequences.size(); ++s) {
    const std::vector<Value> parts = recurrence.steps_of(sequences[s], read[s]);
    for (size_t i = 0; i < parts.size(); ++i) states[read[s][i]][s] = parts[i];
  }
  for (size_t t = 0; t < chain.size(); ++t) copy.replace(chain[t], std::move(states[t]));
  for (int32_t id = chain[0]; id < from.size(); ++id)
    if (later[id] && std::find(chain.begin(), chain.end(), id) == chain.end()) copy.copy(id);
  copy.copy_outputs();
}

}  // namespace

// One chain after the other: each is looked for in the graph that the one before has left, so that chains
// that feed each other cannot close a circle.
void fuse_recurrent(const Graph& from, Graph& to) {
  auto current = std::make_unique<Graph>();
  copy_graph(from, *current);
  for (Chain chain = find_chain(*current); !chain.empty(); chain = find_chain(*current)) {
    auto next = std::make_unique<Graph>();
    fuse(*current, *next, chain);
    current = std::move(next);
  }
  copy_graph(*current, to);
}

}  // namespace lariat
