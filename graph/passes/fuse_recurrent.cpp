#include "graph/passes/fuse_recurrent.hpp"

#include <algorithm>
#include <memory>
#include <tuple>

#include "graph/ir/op_def.hpp"
#include "graph/ir/print.hpp"

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

// Nodes that cannot be computed before node `first`, as far as they have been asked for.
class Reachable {
 public:
  Reachable(const Graph& graph, int32_t first) : graph_(graph), first_(first), reached_{true} {}
  bool operator()(int32_t node) {
    if (node < first_) return false;
    while (first_ + static_cast<int32_t>(reached_.size()) <= node) {
      const std::vector<Edge>& inputs = graph_.node(first_ + static_cast<int32_t>(reached_.size())).inputs;
      reached_.push_back(std::any_of(inputs.begin(), inputs.end(), [&](const Edge& edge) {
        return edge.node >= first_ && reached_[static_cast<size_t>(edge.node - first_)];
      }));
    }
    return reached_[static_cast<size_t>(node - first_)];
  }

 private:
  const Graph& graph_;
  int32_t first_;
  std::vector<bool> reached_;
};

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

// The step after each node, and the one before it; -1 for none. Of several that follow a node the first goes
// on.
struct Steps {
  std::vector<int32_t> next, before;

  explicit Steps(const Graph& graph) : next(graph.size(), -1), before(graph.size(), -1) {
    const std::vector<bool> opaque = read_beyond_states(graph);
    for (int32_t id = 0; id < graph.size(); ++id) {
      const Node& node = graph.node(id);
      if (!node.op->recurrence || opaque[id]) continue;
      const int32_t last = node.inputs[node.op->recurrence->state_inputs[0]].node;
      if (!graph.node(last).op->recurrence || opaque[last] || next[last] >= 0 || !follows(graph, last, id))
        continue;
      next[last] = id;
      before[id] = last;
    }
  }
};

// Chains, and for each node how many of them are behind it: to run a chain after what is not behind it, and
// before what is, is an order of the graph.
struct Chains {
  std::vector<Chain> chains;
  std::vector<int> level;
};

// Nodes of one level do not read each other but from step to step, so that no path leads out of a chain whose
// steps have one level and into it again: all such chains are joined at once.
Chains chains_of_one_level(const Graph& graph) {
  const Steps steps(graph);
  Chains found{{}, std::vector<int>(graph.size())};
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const int32_t input = node.inputs[i].node;
      const bool goes_on = steps.before[id] == input && is_state_input(*node.op->recurrence, i);
      const bool leaves = graph.node(input).op->recurrence && !goes_on;
      found.level[id] = std::max(found.level[id], found.level[input] + leaves);
    }
  }
  for (int32_t id = 0; id < graph.size(); ++id) {
    if (steps.next[id] < 0 || steps.before[id] >= 0) continue;
    Chain chain;
    bool one_level = true;
    for (int32_t step = id; step >= 0; step = steps.next[step]) {
      chain.push_back(step);
      one_level = one_level && found.level[step] == found.level[id];
    }
    if (one_level) found.chains.push_back(std::move(chain));
  }
  return found;
}

// One chain whose steps may have several levels.
Chains any_chain(const Graph& graph) {
  const Steps steps(graph);
  std::vector<bool> seen(graph.size());
  for (int32_t id = 0; id < graph.size(); ++id) {
    if (steps.next[id] < 0 || seen[id]) continue;
    const size_t step_input = graph.node(id).op->recurrence->step_input;
    Chain chain{id};
    Reachable later(graph, id);
    // A step whose input depends on the chain itself cannot join it.
    for (int32_t next = steps.next[id]; next >= 0 && !later(graph.node(next).inputs[step_input].node);
         next = steps.next[next]) {
      chain.push_back(next);
      seen[next] = true;
    }
    if (chain.size() == 1) continue;
    Chains found{{chain}, std::vector<int>(graph.size())};
    for (int32_t node = id; node < graph.size(); ++node) found.level[node] = later(node);
    for (int32_t step : chain) found.level[step] = 0;
    return found;
  }
  return {};
}

// Copies `from` with each chain as one node over the sequence.
void fuse(const Graph& from, Graph& to, const Chains& found) {
  std::vector<int32_t> chain_of(from.size(), -1);
  std::vector<int64_t> step_of(from.size(), -1);
  for (size_t c = 0; c < found.chains.size(); ++c)
    for (size_t t = 0; t < found.chains[c].size(); ++t) {
      chain_of[found.chains[c][t]] = static_cast<int32_t>(c);
      step_of[found.chains[c][t]] = static_cast<int64_t>(t);
    }

  // The states at each step that someone outside its chain reads, by chain and state.
  std::vector<std::vector<std::vector<int64_t>>> read(found.chains.size());
  for (size_t c = 0; c < found.chains.size(); ++c)
    read[c].resize(from.node(found.chains[c][0]).op->recurrence->state_inputs.size());
  const auto look = [&](Edge edge, int32_t reader) {
    const int32_t chain = chain_of[edge.node];
    if (chain < 0) return;
    if (reader >= 0 && chain_of[reader] == chain && step_of[reader] == step_of[edge.node] + 1) return;
    read[chain][edge.output].push_back(step_of[edge.node]);
  };
  for (int32_t id = 0; id < from.size(); ++id)
    for (const Edge& edge : from.node(id).inputs) look(edge, id);
  for (const Output& output : from.outputs()) look(output.value, -1);
  for (auto& by_state : read)
    for (std::vector<int64_t>& wanted : by_state) {
      std::sort(wanted.begin(), wanted.end());
      wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    }

  // Of one level, chains come last.
  std::vector<std::tuple<int, bool, int32_t>> order;
  for (int32_t id = 0; id < from.size(); ++id)
    if (step_of[id] <= 0) order.emplace_back(found.level[id], chain_of[id] >= 0, id);
  std::sort(order.begin(), order.end());
  GraphCopy copy(from, to);
  for (const auto& [level, is_chain, id] : order) {
    if (!is_chain) {
      copy.copy(id);
      continue;
    }
    const Chain& chain = found.chains[chain_of[id]];
    const Node& first = from.node(id);
    const Recurrence& recurrence = *first.op->recurrence;
    std::vector<Value> steps, initial, shared;
    for (int32_t step : chain) steps.push_back(copy(from.node(step).inputs[recurrence.step_input]));
    for (size_t input : recurrence.state_inputs) initial.push_back(copy(first.inputs[input]));
    for (size_t i = 0; i < first.inputs.size(); ++i)
      if (i != recurrence.step_input && !is_state_input(recurrence, i))
        shared.push_back(copy(first.inputs[i]));
    const std::vector<Value> sequences =
        recurrence.sequence({steps, initial, shared, first.attributes, first.name, first.where});
    std::vector<std::vector<Value>> states(chain.size(), std::vector<Value>(first.outputs.size()));
    for (size_t s = 0; s < sequences.size(); ++s) {
      const std::vector<int64_t>& wanted = read[chain_of[id]][s];
      const std::vector<Value> parts = recurrence.steps_of(sequences[s], wanted);
      for (size_t i = 0; i < parts.size(); ++i) states[wanted[i]][s] = parts[i];
    }
    for (size_t t = 0; t < chain.size(); ++t) copy.replace(chain[t], std::move(states[t]));
  }
  copy.copy_outputs();
}

}  // namespace

bool without_recurrences(const Graph& graph) {
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->recurrence) return false;
  return true;
}

// Chains are looked for in the graph that those before have left, so that chains that feed each other cannot
// close a circle.
void fuse_recurrent(const Graph& from, Graph& to) {
  std::unique_ptr<Graph> joined;
  const Graph* current = &from;
  for (const auto find : {chains_of_one_level, any_chain})
    for (Chains found = find(*current); !found.chains.empty(); found = find(*current)) {
      auto next = std::make_unique<Graph>();
      fuse(*current, *next, found);
      joined = std::move(next);
      current = joined.get();
    }
  copy_graph(*current, to);
}

}  // namespace lariat
