#include "graph/passes/fuse_elementwise.hpp"

#include <algorithm>
#include <climits>
#include <map>

#include "graph/op_def.hpp"
#include "graph/registry.hpp"

namespace lariat {

namespace {

// A longer chain would push its own temporaries out of the cache.
constexpr int longest_chain = 48;

struct Group {
  std::vector<int32_t> members;
};

bool fusable(const Node& node) {
  return node.op->traits.elementwise && node.outputs.size() == 1 && node.op->block.get(node.outputs[0].dtype);
}

// Whether a node may run in one loop with the input at `edge`.
bool joins(const Graph& graph, const Edge& edge, const Node& node) {
  return fusable(node) && fusable(graph.node(edge.node)) && graph.type(edge) == node.outputs[0];
}

// Every edge leads from a stage to the same or a later one, and to the same only between element-wise nodes
// of one type, which are joined. So edges between groups go to later stages: no cycle can close.
std::vector<Group> find_groups(const Graph& graph, std::vector<int>& group_of) {
  std::vector<int> stage(graph.size()), depth(graph.size());
  std::vector<int32_t> leader(graph.size());
  const auto find = [&](int32_t id) {
    while (leader[id] != id) id = leader[id] = leader[leader[id]];
    return id;
  };
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    leader[id] = id;
    for (const Edge& edge : node.inputs) {
      const bool together = joins(graph, edge, node) && depth[edge.node] < longest_chain;
      stage[id] = std::max(stage[id], stage[edge.node] + !together);
    }
    for (const Edge& edge : node.inputs)
      if (joins(graph, edge, node) && stage[edge.node] == stage[id])
        depth[id] = std::max(depth[id], depth[edge.node] + 1);
  }
  // What begins a group of its own early, such as β·m of an optimizer's slot, joins its readers later if it
  // can.
  std::vector<int> latest(graph.size(), INT_MAX);
  for (int32_t id = graph.size() - 1; id >= 0; --id) {
    const Node& node = graph.node(id);
    if (fusable(node) && depth[id] == 0 && latest[id] != INT_MAX) stage[id] = std::max(stage[id], latest[id]);
    for (const Edge& edge : node.inputs)
      latest[edge.node] = std::min(latest[edge.node], stage[id] - !joins(graph, edge, node));
  }
  for (int32_t id = 0; id < graph.size(); ++id)
    for (const Edge& edge : graph.node(id).inputs)
      if (joins(graph, edge, graph.node(id)) && stage[edge.node] == stage[id])
        leader[find(edge.node)] = find(id);
  std::vector<Group> groups;
  std::map<int32_t, int> number;
  group_of.assign(graph.size(), -1);
  for (int32_t id = 0; id < graph.size(); ++id) {
    if (!fusable(graph.node(id))) continue;
    const auto [known, fresh] = number.try_emplace(find(id), static_cast<int>(groups.size()));
    if (fresh) groups.push_back({});
    group_of[id] = known->second;
    groups[known->second].members.push_back(id);
  }
  return groups;
}

// Emits one group as a fused node.
void emit(const Graph& from, Graph& to, const Group& group, const std::vector<bool>& read_outside,
          GraphCopy& copy) {
  auto body = std::make_shared<Graph>();
  GraphCopy inner(from, *body);
  std::map<int32_t, Value> inside;
  std::vector<Value> inputs;
  std::vector<Edge> input_edges;
  for (int32_t id : group.members) {
    std::vector<Value> arguments;
    for (const Edge& edge : from.node(id).inputs) {
      if (inside.contains(edge.node)) {
        arguments.push_back(inside.at(edge.node));
        continue;
      }
      const auto known = std::find(input_edges.begin(), input_edges.end(), edge);
      const size_t index = known - input_edges.begin();
      if (known == input_edges.end()) {
        input_edges.push_back(edge);
        inputs.push_back(copy(edge));
        body->input("x" + std::to_string(index), from.type(edge).shape, from.type(edge).dtype);
      }
      arguments.push_back(body->find_source("x" + std::to_string(index)));
    }
    const Node& node = from.node(id);
    inside[id] = body->add(*node.op, arguments, node.attributes, node.name, node.where);
  }
  std::vector<int32_t> results;
  for (int32_t id : group.members)
    if (read_outside[id]) {
      body->output("y" + std::to_string(results.size()), inside.at(id));
      results.push_back(id);
    }
  Value fused = to.add(registry().get("fused"), inputs, {{"body", std::shared_ptr<const Graph>(body)}},
                       from.node(group.members.back()).name, from.node(group.members.back()).where);
  for (size_t i = 0; i < results.size(); ++i)
    copy.replace(results[i], {Value(&to, fused.node(), static_cast<int32_t>(i))});
}

}  // namespace

void fuse_elementwise(const Graph& from, Graph& to) {
  std::vector<int> group_of;
  const std::vector<Group> groups = find_groups(from, group_of);
  std::vector<bool> read_outside(from.size(), false);
  for (int32_t id = 0; id < from.size(); ++id)
    for (const Edge& edge : from.node(id).inputs)
      if (group_of[id] < 0 || group_of[edge.node] != group_of[id]) read_outside[edge.node] = true;
  for (const Output& output : from.outputs()) read_outside[output.value.node] = true;

  // Units (groups and single nodes) in an order that respects their dependencies: Kahn's algorithm, smallest
  // last member first, so that the order stays close to the original.
  const auto unit_of = [&](int32_t id) {
    return group_of[id] >= 0 ? groups[group_of[id]].members.front() : id;
  };
  std::vector<std::vector<int32_t>> successors(from.size());
  std::vector<int> waiting(from.size(), 0);
  for (int32_t id = 0; id < from.size(); ++id)
    for (const Edge& edge : from.node(id).inputs)
      if (unit_of(edge.node) != unit_of(id)) {
        successors[unit_of(edge.node)].push_back(unit_of(id));
        ++waiting[unit_of(id)];
      }
  std::map<int32_t, int32_t> ready;  // last member -> unit
  const auto last_member = [&](int32_t unit) {
    return group_of[unit] >= 0 ? groups[group_of[unit]].members.back() : unit;
  };
  for (int32_t id = 0; id < from.size(); ++id)
    if (unit_of(id) == id && waiting[id] == 0) ready[last_member(id)] = id;

  GraphCopy copy(from, to);
  while (!ready.empty()) {
    const int32_t unit = ready.begin()->second;
    ready.erase(ready.begin());
    if (group_of[unit] >= 0 && groups[group_of[unit]].members.size() > 1) {
      emit(from, to, groups[group_of[unit]], read_outside, copy);
    } else {
      copy.copy(unit);
    }
    for (int32_t next : successors[unit])
      if (--waiting[next] == 0) ready[last_member(next)] = next;
  }
  copy.copy_outputs();
}

}  // namespace lariat
