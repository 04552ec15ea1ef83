#include "graph/passes/loop_groups.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "graph/ir/op_def.hpp"

namespace lariat {

namespace {

// A longer chain would push its own temporaries out of the cache.
constexpr int longest_chain = 48;

bool is_one_element(const TensorType& type) {
  return std::all_of(type.shape.begin(), type.shape.end(), [](const Dim& dim) { return dim == Dim(1); });
}

// Every node has a stage, and every edge leads from a stage to the same or a later one: to the same only
// within a group. So no path can leave a group and come back.
class Grouping {
 public:
  explicit Grouping(const Graph& graph)
      : graph_(graph), leader_(graph.size()), stage_(graph.size()), members_(graph.size()) {
    find_earliest_stages();
    join_chains();
    for (int32_t id = 0; id < graph_.size(); ++id) members_[find(id)].push_back(id);
    move_to_partners();
    join_chains();
    join_readers();
  }

  LoopGroups result() {
    LoopGroups groups;
    groups.of.assign(graph_.size(), -1);
    for (int32_t id = 0; id < graph_.size(); ++id) {
      if (!is_member(id)) continue;
      int& group = groups.of[find(id)];
      if (group < 0) {
        group = static_cast<int>(groups.members.size());
        groups.members.emplace_back();
      }
      groups.members[group].push_back(id);
    }
    for (size_t g = 0; g < groups.members.size(); ++g)
      for (int32_t id : groups.members[g]) groups.of[id] = static_cast<int>(g);
    return groups;
  }

 private:
  bool is_elementwise(int32_t id) const {
    const Node& node = graph_.node(id);
    return node.op->traits.elementwise && node.outputs.size() == 1 &&
           node.op->block.get(node.outputs[0].dtype);
  }
  bool is_sum(int32_t id) const {
    const Node& node = graph_.node(id);
    return node.op->summation && node.op->summation->block.get(node.outputs[0].dtype) &&
           is_one_element(node.outputs[0]) && !is_one_element(graph_.type(node.inputs[0]));
  }
  bool is_member(int32_t id) const { return is_elementwise(id) || is_sum(id); }
  // What the loop runs over.
  const TensorType& space(int32_t id) const {
    return is_sum(id) ? graph_.type(graph_.node(id).inputs[0]) : graph_.node(id).outputs[0];
  }
  // Whether a node may run in one loop with the node that the edge comes from.
  bool joins(const Edge& edge, int32_t id) const {
    return is_member(id) && is_elementwise(edge.node) && graph_.type(edge) == space(id);
  }

  int32_t find(int32_t id) {
    while (leader_[id] != id) id = leader_[id] = leader_[leader_[id]];
    return id;
  }

  void find_earliest_stages() {
    std::vector<int> depth(graph_.size());
    for (int32_t id = 0; id < graph_.size(); ++id) {
      leader_[id] = id;
      for (const Edge& edge : graph_.node(id).inputs) {
        const bool together = joins(edge, id) && depth[edge.node] < longest_chain;
        stage_[id] = std::max(stage_[id], stage_[edge.node] + !together);
      }
      for (const Edge& edge : graph_.node(id).inputs)
        if (joins(edge, id) && stage_[edge.node] == stage_[id])
          depth[id] = std::max(depth[id], depth[edge.node] + 1);
    }
  }

  void join_chains() {
    for (int32_t id = 0; id < graph_.size(); ++id)
      for (const Edge& edge : graph_.node(id).inputs)
        if (joins(edge, id) && stage_[edge.node] == stage_[id]) leader_[find(edge.node)] = find(id);
  }

  // What reads one tensor at every place, at one stage, reads it in one loop.
  void join_readers() {
    std::map<std::tuple<int32_t, int32_t, int>, int32_t> reader;  // node, output, stage
    for (int32_t id = 0; id < graph_.size(); ++id) {
      if (!is_member(id)) continue;
      for (const Edge& edge : graph_.node(id).inputs) {
        if (graph_.type(edge) != space(id) || is_one_element(space(id))) continue;
        const auto [known, fresh] = reader.try_emplace({edge.node, edge.output, stage_[id]}, id);
        if (!fresh) leader_[find(known->second)] = find(id);
      }
    }
  }

  // A group that begins early, such as β·m of an optimizer's slot or the sum of a penalty, moves to a later
  // stage where that lets it join another: one that reads its result, or the same tensor. What computes
  // single numbers moves as far as it can, to give room to what it reads.
  void move_to_partners() {
    const int end = 2 * graph_.size();
    std::vector<int> latest(graph_.size(), end);
    std::vector<bool> read_by_partner(graph_.size());
    // Of moved groups that read a tensor at every place.
    std::map<std::pair<int32_t, int32_t>, std::set<int>> stages_of_readers;
    std::vector<int32_t> leaders;
    for (int32_t id = 0; id < graph_.size(); ++id)
      if (find(id) == id) leaders.push_back(id);
    // Readers come first.
    std::stable_sort(leaders.begin(), leaders.end(),
                     [&](int32_t a, int32_t b) { return stage_[a] > stage_[b]; });
    for (int32_t leader : leaders) {
      if (is_member(leader)) {
        int stage = stage_[leader];
        const int limit = latest[leader];
        if (is_one_element(space(leader)) || read_by_partner[leader]) stage = std::max(stage, limit);
        for (int32_t id : members_[leader])
          for (const Edge& edge : graph_.node(id).inputs)
            if (graph_.type(edge) == space(id)) {
              const std::set<int>& stages = stages_of_readers[{edge.node, edge.output}];
              const auto beyond = stages.upper_bound(limit);
              if (beyond != stages.begin()) stage = std::max(stage, *std::prev(beyond));
            }
        for (int32_t id : members_[leader]) stage_[id] = stage;
      }
      for (int32_t id : members_[leader])
        for (const Edge& edge : graph_.node(id).inputs) {
          const int32_t source = find(edge.node);
          if (source == leader) continue;
          const bool together = joins(edge, id);
          const int allowed = stage_[id] - !together;
          if (allowed < latest[source]) read_by_partner[source] = false;
          if (allowed <= latest[source]) read_by_partner[source] = read_by_partner[source] || together;
          latest[source] = std::min(latest[source], allowed);
          if (is_member(id) && graph_.type(edge) == space(id))
            stages_of_readers[{edge.node, edge.output}].insert(stage_[id]);
        }
    }
  }

  const Graph& graph_;
  std::vector<int32_t> leader_;
  std::vector<int> stage_;
  std::vector<std::vector<int32_t>> members_;
};

}  // namespace

LoopGroups find_loop_groups(const Graph& graph) { return Grouping(graph).result(); }

}  // namespace lariat
