#include "graph/passes/fuse_addends.hpp"

#include "graph/ir/op_def.hpp"
#include "graph/ir/registry.hpp"

namespace lariat {

namespace {

bool is_sum_of_two(const Node& node) {
  return node.op->traits.elementwise && node.op->traits.additive && node.op->traits.commutative &&
         node.inputs.size() == 2;
}

bool takes(const TensorType& result, const TensorType& addend) {
  return addend == result || (addend.dtype == result.dtype && addend.shape == Shape{result.shape.back()});
}

}  // namespace

bool without_addends(const Graph& graph) {
  for (int32_t id = 0; id < graph.size(); ++id)
    if (!graph.node(id).op->with_addend.empty()) return false;
  return true;
}

void fuse_addends(const Graph& from, Graph& to) {
  const auto readers = users(from);
  std::vector<bool> is_output(from.size());
  for (const Output& output : from.outputs()) is_output[output.value.node] = true;
  // The input of a sum that can take the other one along, -1 for none; the later one first, for the earlier
  // result is then added to in place.
  const auto product_side = [&](const Node& sum) {
    if (sum.inputs[0].node == sum.inputs[1].node) return -1;
    for (int side : {1, 0}) {
      const Edge edge = sum.inputs[side];
      const Node& made_by = from.node(edge.node);
      if (!made_by.op->with_addend.empty() && readers[edge.node].size() == 1 && !is_output[edge.node] &&
          made_by.outputs[0] == sum.outputs[0] && takes(sum.outputs[0], from.type(sum.inputs[1 - side])))
        return side;
    }
    return -1;
  };

  std::vector<int> side_of(from.size(), -1);
  std::vector<bool> joined(from.size());
  for (int32_t id = 0; id < from.size(); ++id) {
    if (!is_sum_of_two(from.node(id))) continue;
    side_of[id] = product_side(from.node(id));
    if (side_of[id] >= 0) joined[from.node(id).inputs[side_of[id]].node] = true;
  }
  GraphCopy copy(from, to);
  for (int32_t id = 0; id < from.size(); ++id) {
    if (joined[id]) continue;
    const Node& node = from.node(id);
    if (side_of[id] < 0) {
      copy.copy(id);
      continue;
    }
    const int32_t product = node.inputs[side_of[id]].node;
    std::vector<Value> inputs = copy.inputs(product);
    inputs.push_back(copy(node.inputs[1 - side_of[id]]));
    const Node& made_by = from.node(product);
    copy.replace(id, {to.add(registry().get(made_by.op->with_addend), inputs, made_by.attributes, node.name,
                             made_by.where)});
  }
  copy.copy_outputs();
}

}  // namespace lariat
