#include "ops/elementwise/joined.hpp"

#include "ops/kernels/simd.hpp"

namespace lariat {

namespace joined_detail {

// The node that an operand comes from, where it is one of `op` that nobody else reads.
class Operands {
 public:
  Operands(const Graph& body, const std::vector<int>& readers) : body_(body), readers_(readers) {}
  const Node* find(Edge edge, std::string_view op) const {
    const Node& node = body_.node(edge.node);
    return node.op->name == op && readers_[static_cast<size_t>(edge.node)] == 1 ? &node : nullptr;
  }

 private:
  const Graph& body_;
  const std::vector<int>& readers_;
};

// The chains of an optimizer's step: means of gradients and of their squares, the step of each element, and
// the element's move.
const PerDType<BlockKernel>& plus_product() {  // a·b + c·d
  static const auto block =
      float_blocks<4>([](auto a, auto b, auto c, auto d) { return rounded_once(a, b, c * d); });
  return block;
}
const PerDType<BlockKernel>& plus_square() {  // a·b + c·d²
  static const auto block =
      float_blocks<4>([](auto a, auto b, auto c, auto d) { return rounded_once(a, b, c * (d * d)); });
  return block;
}
const PerDType<BlockKernel>& times_product() {  // a·(b·c) + d
  static const auto block =
      float_blocks<4>([](auto a, auto b, auto c, auto d) { return rounded_once(a, b * c, d); });
  return block;
}
const PerDType<BlockKernel>& over_root() {  // a / (√(b·c) + d)
  static const auto block =
      float_blocks<4>([](auto a, auto b, auto c, auto d) { return a / (sqrt(b * c) + d); });
  return block;
}

}  // namespace joined_detail

std::optional<JoinedNodes> join(const Graph& body, int32_t id, const std::vector<int>& readers) {
  using namespace joined_detail;
  const Node& node = body.node(id);
  const DType dtype = node.outputs[0].dtype;
  const Operands operands(body, readers);
  const auto& in = node.inputs;
  if (node.op->name == "multiply_add") {
    if (const Node* product = operands.find(in[2], "multiply")) {
      const Edge factor = product->inputs[0], other = product->inputs[1];
      if (const Node* square = operands.find(other, "square"))
        return JoinedNodes{
            plus_square().get(dtype), {in[0], in[1], factor, square->inputs[0]}, {other.node, in[2].node}};
      return JoinedNodes{plus_product().get(dtype), {in[0], in[1], factor, other}, {in[2].node}};
    }
    if (const Node* product = operands.find(in[1], "multiply"))
      return JoinedNodes{
          times_product().get(dtype), {in[0], product->inputs[0], product->inputs[1], in[2]}, {in[1].node}};
  }
  if (node.op->name == "divide")
    if (const Node* sum = operands.find(in[1], "add"))
      if (const Node* root = operands.find(sum->inputs[0], "sqrt"))
        if (const Node* product = operands.find(root->inputs[0], "multiply"))
          return JoinedNodes{over_root().get(dtype),
                             {in[0], product->inputs[0], product->inputs[1], sum->inputs[1]},
                             {root->inputs[0].node, sum->inputs[0].node, in[1].node}};
  return std::nullopt;
}

}  // namespace lariat
