#include "graph/passes/fold_constants.hpp"

#include <algorithm>

#include "graph/exec/program.hpp"
#include "graph/op_def.hpp"

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

}  // namespace

void fold_constants(const Graph& from, Graph& to) {
  GraphCopy copy(from, to);
  for (int32_t id = 0; id < from.size(); ++id) {
    const Node& node = from.node(id);
    const std::vector<Value> inputs = copy.inputs(id);
    if (!foldable(node, to, inputs)) {
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
    std::vector<Value> folded;
    for (Tensor& value : evaluate_constant(alone))
      folded.push_back(to.constant(std::move(value), node.where));
    copy.replace(id, std::move(folded));
  }
  copy.copy_outputs();
}

}  // namespace lariat
