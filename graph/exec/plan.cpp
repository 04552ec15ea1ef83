#include "graph/exec/plan.hpp"

#include <algorithm>

#include "graph/error.hpp"

namespace lariat {

namespace {

// Steps below this are run together: a task of its own would cost more than the work.
constexpr double grain_microseconds = 10;

bool is_source(const Node& node) { return node.op->traits.source != SourceKind::none; }

std::vector<int32_t> execution_order(const Graph& graph) {
  std::vector<Edge> roots;
  for (const Output& output : graph.outputs()) roots.push_back(output.value);
  const std::vector<bool> live = ancestors(graph, roots);
  const auto readers = users(graph);

  // A node that only makes updates runs as soon as its inputs are there and everyone else has read the old
  // values, perhaps through views: gradients then die early and updates are done in place.
  std::vector<bool> only_updates(graph.size());
  for (const Output& output : graph.outputs())
    if (output.is_update && readers[output.value.node].empty()) only_updates[output.value.node] = true;
  std::vector<int32_t> last_reader(graph.size(), 0);
  for (int32_t id = 0; id < graph.size(); ++id)
    if (live[id] && !only_updates[id])
      for (const Edge& edge : graph.node(id).inputs) last_reader[memory_of(graph, edge).node] = id;
  std::vector<int32_t> key(graph.size());
  for (int32_t id = 0; id < graph.size(); ++id) {
    key[id] = id;
    if (!only_updates[id]) continue;
    int32_t earliest = 0;
    for (const Edge& edge : graph.node(id).inputs) {
      earliest = std::max(earliest, edge.node);
      const Edge root = memory_of(graph, edge);
      if (is_source(graph.node(root.node))) earliest = std::max(earliest, last_reader[root.node]);
    }
    key[id] = earliest;
  }
  std::vector<int32_t> nodes;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (live[id] && !is_source(graph.node(id))) nodes.push_back(id);
  std::stable_sort(nodes.begin(), nodes.end(), [&](int32_t a, int32_t b) {
    return key[a] != key[b] ? key[a] < key[b] : (key[a] == a) > (key[b] == b);
  });
  return nodes;
}

}  // namespace

Plan::Plan(const Graph& graph, const Bindings& bindings) : graph_(graph) {
  placed_ = place(graph, execution_order(graph), bindings);
  group();
}

void Plan::group() {
  std::vector<int> task_of(placed_.steps.size());
  double collected = grain_microseconds;
  for (size_t i = 0; i < placed_.steps.size(); ++i) {
    const bool large = placed_.steps[i].microseconds >= grain_microseconds;
    if (large || collected >= grain_microseconds) {
      tasks_.push_back({static_cast<int>(i), 0});
      collected = 0;
    }
    collected += placed_.steps[i].microseconds;
    tasks_.back().last_step = static_cast<int>(i);
    tasks_.back().path_microseconds = collected;
    task_of[i] = static_cast<int>(tasks_.size()) - 1;
  }
  for (size_t i = 0; i < placed_.steps.size(); ++i)
    for (int before : placed_.predecessors[i])
      if (task_of[before] != task_of[i]) tasks_[task_of[before]].successors.push_back(task_of[i]);
  for (Task& task : tasks_) {
    std::sort(task.successors.begin(), task.successors.end());
    task.successors.erase(std::unique(task.successors.begin(), task.successors.end()), task.successors.end());
    for (int next : task.successors) ++tasks_[next].predecessors;
  }
  const auto sort_by_path = [&](std::vector<int>& list) {
    std::stable_sort(list.begin(), list.end(),
                     [&](int a, int b) { return tasks_[a].path_microseconds > tasks_[b].path_microseconds; });
  };
  // Backwards, for tasks lead to later ones only.
  for (size_t t = tasks_.size(); t-- > 0;) {
    std::vector<int>& next = tasks_[t].successors;
    sort_by_path(next);
    if (!next.empty()) tasks_[t].path_microseconds += tasks_[next.front()].path_microseconds;
    if (tasks_[t].predecessors == 0) first_tasks_.push_back(static_cast<int>(t));
  }
  sort_by_path(first_tasks_);
  placed_.predecessors.clear();
}

void Plan::bind(std::byte* arena, const std::vector<void*>& source_data) {
  const auto resolve = [&](const Location& location) -> void* {
    return location.kind == Location::Kind::arena ? static_cast<void*>(arena + location.index)
                                                  : source_data[location.index];
  };
  for (Step& step : placed_.steps) {
    for (size_t i = 0; i < step.inputs.size(); ++i) step.inputs[i].data = resolve(step.input_locations[i]);
    for (size_t o = 0; o < step.outputs.size(); ++o) step.outputs[o].data = resolve(step.output_locations[o]);
    step.workspace = arena + step.workspace_offset;
  }
  for (size_t i = 0; i < placed_.results.size(); ++i)
    placed_.results[i].data = resolve(placed_.result_locations[i]);
}

}  // namespace lariat
