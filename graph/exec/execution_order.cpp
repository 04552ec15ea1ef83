#include "graph/exec/execution_order.hpp"

#include <algorithm>

namespace lariat {

namespace {

bool is_source(const Node& node) { return node.op->traits.source != SourceKind::none; }

}  // namespace

ExecutionOrder::ExecutionOrder(const Graph& graph)
    : graph_(graph), first_value_(graph.size() + 1, 0), fixed_(graph.size()) {
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    first_value_[id + 1] = first_value_[id] + static_cast<int>(node.outputs.size());
    fixed_[id] = std::all_of(node.outputs.begin(), node.outputs.end(),
                             [](const TensorType& type) { return is_known(type.shape); }) &&
                 std::all_of(node.inputs.begin(), node.inputs.end(),
                             [&](const Edge& edge) { return is_known(graph.type(edge).shape); });
  }
  find_memory();
  find_order();
  find_last_reads();
  find_overwrites();
}

void ExecutionOrder::find_memory() {
  for (int32_t id = 0; id < graph_.size(); ++id) {
    const Node& node = graph_.node(id);
    memory_.push_back(node.op->traits.alias ? memory_of(node.inputs[0]) : Edge{id, 0});
  }
}

// A node that only makes updates runs as soon as its inputs are there and everyone else has read the old
// values, perhaps through views: gradients then die early and updates are done in place.
void ExecutionOrder::find_order() {
  std::vector<Edge> roots;
  for (const Output& output : graph_.outputs()) roots.push_back(output.value);
  const std::vector<bool> live = ancestors(graph_, roots);
  std::vector<bool> is_read(graph_.size()), only_updates(graph_.size());
  for (int32_t id = 0; id < graph_.size(); ++id)
    for (const Edge& edge : graph_.node(id).inputs) is_read[edge.node] = true;
  for (const Output& output : graph_.outputs())
    if (output.is_update && !is_read[output.value.node]) only_updates[output.value.node] = true;
  std::vector<int32_t> last_reader(graph_.size(), 0);
  for (int32_t id = 0; id < graph_.size(); ++id)
    if (live[id] && !only_updates[id])
      for (const Edge& edge : graph_.node(id).inputs) last_reader[memory_of(edge).node] = id;
  // What guards the run comes before every such update.
  int32_t last_guard = 0;
  for (int32_t id = 0; id < graph_.size(); ++id)
    if (live[id] && graph_.node(id).op->traits.guard) last_guard = id;
  std::vector<int32_t> key(graph_.size());
  for (int32_t id = 0; id < graph_.size(); ++id) {
    key[id] = id;
    if (!only_updates[id]) continue;
    int32_t earliest = last_guard;
    for (const Edge& edge : graph_.node(id).inputs) {
      earliest = std::max(earliest, edge.node);
      const Edge root = memory_of(edge);
      if (is_source(graph_.node(root.node))) earliest = std::max(earliest, last_reader[root.node]);
    }
    key[id] = earliest;
  }
  for (int32_t id = 0; id < graph_.size(); ++id)
    if (live[id] && !is_source(graph_.node(id))) nodes_.push_back(id);
  std::stable_sort(nodes_.begin(), nodes_.end(), [&](int32_t a, int32_t b) {
    return key[a] != key[b] ? key[a] < key[b] : (key[a] == a) > (key[b] == b);
  });
}

void ExecutionOrder::find_last_reads() {
  last_read_.assign(value_count(), -1);
  for (size_t p = 0; p < nodes_.size(); ++p)
    for (const Edge& edge : graph_.node(nodes_[p]).inputs)
      last_read_[index_of(memory_of(edge))] = static_cast<int>(p);
  for (const Output& output : graph_.outputs()) last_read_[index_of(memory_of(output.value))] = never;
}

// Updates that may be written straight over the old value by the node that makes them: nobody reads it later.
void ExecutionOrder::find_overwrites() {
  overwrites_.assign(value_count(), -1);
  std::vector<int> position(graph_.size(), -1);
  for (size_t p = 0; p < nodes_.size(); ++p) position[nodes_[p]] = static_cast<int>(p);
  int last_guard = -1;
  for (size_t p = 0; p < nodes_.size(); ++p)
    if (graph_.node(nodes_[p]).op->traits.guard) last_guard = static_cast<int>(p);
  std::vector<bool> is_read(value_count());
  for (int32_t id = 0; id < graph_.size(); ++id)
    for (const Edge& edge : graph_.node(id).inputs) is_read[index_of(edge)] = true;
  std::map<int32_t, Reads> reads;
  for (const Output& output : graph_.outputs()) {
    const int32_t maker = output.value.node;
    if (!output.is_update || graph_.node(maker).op->traits.alias || is_read[index_of(output.value)]) continue;
    const Edge target{graph_.source_id(output.name), 0};
    int32_t& overwritten = overwrites_[index_of(output.value)];
    const Reads& read = reads.try_emplace(maker, *this, graph_.node(maker)).first->second;
    if (overwritten < 0 && position[maker] > last_guard && last_read(target) <= position[maker] &&
        read.may_overwrite(output.value.output, target))
      overwritten = target.node;
  }
}

Reads::Reads(const ExecutionOrder& order, const Node& node) : graph_(order.graph()), node_(node) {
  inputs_.reserve(node.inputs.size());
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Edge memory = order.memory_of(node.inputs[i]);
    inputs_.push_back({{memory.node, memory.output}, i});
  }
  std::sort(inputs_.begin(), inputs_.end());
}

bool Reads::may_overwrite(size_t output, Edge memory) const {
  const std::pair<int32_t, int32_t> wanted{memory.node, memory.output};
  const auto first = std::lower_bound(inputs_.begin(), inputs_.end(), wanted,
                                      [](const auto& entry, const auto& key) { return entry.first < key; });
  const auto last =
      std::find_if(first, inputs_.end(), [&](const auto& entry) { return entry.first != wanted; });
  const auto fits = [&](size_t input) { return graph_.type(node_.inputs[input]) == node_.outputs[output]; };
  if (node_.op->traits.elementwise)
    return first != last && std::all_of(first, last, [&](const auto& entry) { return fits(entry.second); });
  const auto& pairs = node_.op->traits.in_place;
  return last - first == 1 && fits(first->second) &&
         std::any_of(pairs.begin(), pairs.end(), [&](const Traits::InPlace& pair) {
           return pair.output == output && pair.input == first->second;
         });
}

}  // namespace lariat
