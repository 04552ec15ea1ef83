#include "graph/passes/fuse_elementwise.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "graph/ir/op_def.hpp"
#include "graph/ir/registry.hpp"
#include "graph/passes/loop_groups.hpp"

namespace lariat {

namespace {

// Emits one group as a fused node.
void emit(const Graph& from, Graph& to, const std::vector<int32_t>& members,
          const std::vector<bool>& read_outside, GraphCopy& copy) {
  auto body = std::make_shared<Graph>();
  std::unordered_map<int32_t, Value> inside;
  std::vector<Value> inputs;
  std::map<std::pair<int32_t, int32_t>, Value> outside;  // the body's input for each node and output
  for (int32_t id : members) {
    std::vector<Value> arguments;
    for (const Edge& edge : from.node(id).inputs) {
      if (const auto known = inside.find(edge.node); known != inside.end()) {
        arguments.push_back(known->second);
        continue;
      }
      Value& input = outside[{edge.node, edge.output}];
      if (!input) {
        input =
            body->input("x" + std::to_string(inputs.size()), from.type(edge).shape, from.type(edge).dtype);
        inputs.push_back(copy(edge));
      }
      arguments.push_back(input);
    }
    const Node& node = from.node(id);
    inside[id] = body->add(*node.op, arguments, node.attributes, node.name, node.where);
  }
  std::vector<int32_t> results;
  for (int32_t id : members)
    if (read_outside[id]) {
      body->output("y" + std::to_string(results.size()), inside.at(id));
      results.push_back(id);
    }
  Value fused = to.add(registry().get("fused"), inputs, {{"body", std::shared_ptr<const Graph>(body)}},
                       from.node(members.back()).name, from.node(members.back()).where);
  for (size_t i = 0; i < results.size(); ++i)
    copy.replace(results[i], {Value(&to, fused.node(), static_cast<int32_t>(i))});
}

}  // namespace

void fuse_elementwise(const Graph& from, Graph& to) {
  const auto [groups, group_of] = find_loop_groups(from);
  std::vector<bool> read_outside(from.size(), false);
  for (int32_t id = 0; id < from.size(); ++id)
    for (const Edge& edge : from.node(id).inputs)
      if (group_of[id] < 0 || group_of[edge.node] != group_of[id]) read_outside[edge.node] = true;
  for (const Output& output : from.outputs()) read_outside[output.value.node] = true;

  // Units (groups and single nodes) in an order that respects their dependencies: Kahn's algorithm, smallest
  // last member first, so that the order stays close to the original.
  const auto unit_of = [&](int32_t id) { return group_of[id] >= 0 ? groups[group_of[id]].front() : id; };
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
    return group_of[unit] >= 0 ? groups[group_of[unit]].back() : unit;
  };
  for (int32_t id = 0; id < from.size(); ++id)
    if (unit_of(id) == id && waiting[id] == 0) ready[last_member(id)] = id;

  GraphCopy copy(from, to);
  while (!ready.empty()) {
    const int32_t unit = ready.begin()->second;
    ready.erase(ready.begin());
    if (group_of[unit] >= 0 && groups[group_of[unit]].size() > 1) {
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
