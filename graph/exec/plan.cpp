#include "graph/exec/plan.hpp"

#include <algorithm>

namespace lariat {

namespace {

// Steps below this are run together: a task of its own would cost more than the work.
constexpr double grain_microseconds = 10;

}  // namespace

Plan::Plan(const ExecutionOrder& order, const Bindings& bindings, const PackConstants& pack)
    : graph_(order.graph()), placed_(place(order, bindings, pack)) {
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
  is_chain_ = true;
  for (size_t t = 1; t < tasks_.size(); ++t) {
    const std::vector<int>& next = tasks_[t - 1].successors;
    is_chain_ = is_chain_ && std::find(next.begin(), next.end(), static_cast<int>(t)) != next.end();
  }
  placed_.predecessors.clear();
}

void Plan::bind(std::byte* arena, const std::vector<void*>& source_data) {
  const auto resolve = [&](const Location& location) -> void* {
    if (location.kind == Location::Kind::none) return nullptr;
    return location.kind == Location::Kind::arena ? static_cast<void*>(arena + location.index)
                                                  : source_data[location.index];
  };
  for (Step& step : placed_.steps) {
    for (size_t i = 0; i < step.inputs.size(); ++i) step.inputs[i].data = resolve(step.input_locations[i]);
    for (size_t o = 0; o < step.outputs.size(); ++o) step.outputs[o].data = resolve(step.output_locations[o]);
    step.scratch = {arena + step.workspace_offset, arena + first_scratch(), placed_.thread_bytes};
  }
  for (size_t i = 0; i < placed_.results.size(); ++i)
    placed_.results[i].data = resolve(placed_.result_locations[i]);
}

}  // namespace lariat
