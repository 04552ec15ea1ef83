#include "graph/passes/fold_constants.hpp"

#include <algorithm>

#include "graph/base/error.hpp"
#include "graph/exec/constants.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat {

namespace {

// A result may be as large as its inputs or as this: broadcasts are better left to their readers.
constexpr int64_t small = 64;

bool foldable(const Node& node, const Graph& to, const std::vector<Value>& inputs) {
  if (node.op->traits.source != SourceKind::none || inputs.empty()) return false;
  const auto is_constant = [&](Value value) {
    return to.node(value.node()).op->traits.source == SourceKind::constant;
  };
  int64_t largest = small;
  for (Value input : inputs)
    if (is_known(input.shape())) largest = std::max(largest, element_count(input.shape()).size());
  const auto is_small = [&](const TensorType& type) {
    return is_known(type.shape) && element_count(type.shape).size() <= largest;
  };
  return std::all_of(inputs.begin(), inputs.end(), is_constant) &&
         std::all_of(node.outputs.begin(), node.outputs.end(), is_small);
}

// Of the results that are not small.
int64_t bytes_of(const Node& node) {
  int64_t bytes = 0;
  for (const TensorType& type : node.outputs)
    if (const int64_t count = is_known(type.shape) ? element_count(type.shape).size() : 0; count > small)
      bytes += count * static_cast<int64_t>(size_of(type.dtype));
  return bytes;
}

// The memory that folded results may still take. What only folded nodes read takes none in the end.
class Room {
 public:
  explicit Room(const Graph& graph) : graph_(graph), readers_(graph.size()), taken_(graph.size()) {
    const auto all = users(graph);
    for (int32_t id = 0; id < graph.size(); ++id) {
      readers_[id] = static_cast<int64_t>(all[id].size());
      if (graph.node(id).op->traits.source == SourceKind::constant) left_ += bytes_of(graph.node(id));
    }
    for (const Output& output : graph.outputs()) ++readers_[output.value.node];
  }

  /// Takes what the results of node `id` need; false where there is not as much.
  bool take(int32_t id) {
    std::vector<int32_t> inputs;
    for (const Edge& edge : graph_.node(id).inputs) inputs.push_back(edge.node);
    std::sort(inputs.begin(), inputs.end());
    inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
    int64_t left = left_;
    for (int32_t input : inputs)
      if (readers_[input] == 1) left += taken_[input];
    const int64_t bytes = bytes_of(graph_.node(id));
    if (bytes > left) return false;
    for (int32_t input : inputs) --readers_[input];
    taken_[id] = bytes;
    left_ = left - bytes;
    return true;
  }

 private:
  const Graph& graph_;
  std::vector<int64_t> readers_, taken_;
  int64_t left_ = 0;
};

}  // namespace

void fold_constants(const Graph& from, Graph& to) {
  GraphCopy copy(from, to);
  Room room(from);
  for (int32_t id = 0; id < from.size(); ++id) {
    const Node& node = from.node(id);
    const std::vector<Value> inputs = copy.inputs(id);
    if (!foldable(node, to, inputs) || !room.take(id)) {
      copy.copy(id);
      continue;
    }
    Graph alone;
    std::vector<Value> arguments;
    for (Value input : inputs)
      arguments.push_back(alone.constant(to.node(input.node()).attributes.get<Tensor>("value")));
    const Value first = alone.add(*node.op, arguments, node.attributes);
    for (size_t i = 0; i < node.outputs.size(); ++i)
      alone.output(std::to_string(i), {&alone, first.node(), static_cast<int32_t>(i)});
    std::vector<Tensor> results;
    try {
      results = evaluate_constant(alone);
    } catch (const UserError&) {
      results.clear();
    } catch (const JobError&) {
      results.clear();
    }
    // What refuses its constants does so when it is run, with its own name and line.
    if (results.empty()) {
      copy.copy(id);
      continue;
    }
    std::vector<Value> folded;
    for (Tensor& value : results) folded.push_back(to.constant(std::move(value), node.where));
    copy.replace(id, std::move(folded));
  }
  copy.copy_outputs();
}

}  // namespace lariat
