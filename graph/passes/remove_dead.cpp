#include "graph/passes/remove_dead.hpp"

#include <algorithm>

namespace lariat {

namespace {

std::vector<bool> live_nodes(const Graph& from) {
  std::vector<Edge> roots;
  for (const Output& output : from.outputs()) roots.push_back(output.value);
  std::vector<bool> live = ancestors(from, roots);
  // An update names its parameter, which must be there even where nothing reads the old value.
  for (const Output& output : from.outputs())
    if (output.is_update) live[from.source_id(output.name)] = true;
  return live;
}

}  // namespace

bool all_live(const Graph& graph) {
  const std::vector<bool> live = live_nodes(graph);
  return std::find(live.begin(), live.end(), false) == live.end();
}

void remove_dead(const Graph& from, Graph& to) {
  const std::vector<bool> live = live_nodes(from);
  GraphCopy copy(from, to);
  for (int32_t id = 0; id < from.size(); ++id)
    if (live[id]) copy.copy(id);
  copy.copy_outputs();
}

}  // namespace lariat
