#include "graph/passes/fuse_elementwise.hpp"

#include <algorithm>
#include <map>

#include "graph/op_def.hpp"
#include "graph/registry.hpp"

namespace lariat {

namespace {

// How far the search for a path around a group looks before it gives up and leaves a node out.
constexpr int search_limit = 512;
// A longer program would push its own temporaries out of the cache.
constexpr size_t largest_group = 48;

struct Group {
  std::vector<int32_t> members;
  TensorType type;
};

// Whether a path leads from a member of `group` to `node` through a node outside: joining would close a cycle.
bool path_around(const Graph& graph, int32_t node, int group, const std::vector<int>& group_of,
                 const std::vector<Group>& groups) {
  const int32_t first = groups[group].members.front();
  std::vector<int32_t> queue;
  std::vector<int32_t> seen;
  const auto visit = [&](int32_t id) {
    if (id < first || std::find(seen.begin(), seen.end(), id) != seen.end()) return;
    seen.push_back(id);
    queue.push_back(id);
  };
  for (const Edge& edge : graph.node(node).inputs)
    if (group_of[edge.node] != group) visit(edge.node);
  while (!queue.empty()) {
    const int32_t id = queue.back();
    queue.pop_back();
    if (group_of[id] == group || static_cast<int>(seen.size()) > search_limit) return true;
    // Another group runs as a whole: it depends on everything that its members read.
    if (group_of[id] >= 0)
      for (int32_t member : groups[group_of[id]].members) visit(member);
    for (const Edge& edge : graph.node(id).inputs) visit(edge.node);
  }
  return false;
}

std::vector<Group> find_groups(const Graph& graph, std::vector<int>& group_of) {
  std::vector<Group> groups;
  group_of.assign(graph.size(), -1);
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (!node.op->traits.elementwise || node.outputs.size() != 1 || !node.op->block.get(node.outputs[0].dtype)) continue;
    for (const Edge& edge : node.inputs) {
      const int group = group_of[edge.node];
      if (group < 0 || groups[group].type != node.outputs[0] || groups[group].members.size() >= largest_group) continue;
      if (path_around(graph, id, group, group_of, groups)) continue;
      group_of[id] = group;
      groups[group].members.push_back(id);
      break;
    }
    if (group_of[id] < 0) {
      group_of[id] = static_cast<int>(groups.size());
      groups.push_back({{id}, node.outputs[0]});
    }
  }
  return groups;
}

// Emits one group as a fused node.
void emit(const Graph& from, Graph& to, const Group& group, const std::vector<bool>& read_outside, GraphCopy& copy) {
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
  for (size_t i = 0; i < results.size(); ++i) copy.replace(results[i], {Value(&to, fused.node(), static_cast<int32_t>(i))});
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

  // Units (groups and single nodes) in an order that respects their dependencies: Kahn's algorithm, smallest last
  // member first, so that the order stays close to the original.
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
  const auto last_member = [&](int32_t unit) { return group_of[unit] >= 0 ? groups[group_of[unit]].members.back() : unit; };
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
