#include "graph/passes/simplify.hpp"

#include <algorithm>

#include "graph/op_def.hpp"
#include "graph/passes/rewrite.hpp"

namespace lariat {

namespace {

const Node& node_of(Value value) { return value.graph().node(value.node()); }

std::vector<int64_t> permutation_of(Value transposed) {
  return node_of(transposed).attributes.get<std::vector<int64_t>>("permutation");
}

// transpose(transpose(x, p), q) = transpose(x, p∘q)
Value merge_transposes(const Match& match) {
  const std::vector<int64_t> outer = permutation_of(match.root);
  const Value inner = match.root.graph().value(node_of(match.root).inputs[0]);
  const std::vector<int64_t> first = permutation_of(inner);
  std::vector<int64_t> merged;
  for (int64_t axis : outer) merged.push_back(first[axis]);
  if (std::is_sorted(merged.begin(), merged.end())) return match.variables[0];
  const Node& root = node_of(match.root);
  return match.root.graph().add(*root.op, {&match.variables[0], 1}, {{"permutation", merged}}, root.name,
                                root.where);
}

// A product reads a transposed matrix as it lies in memory.
std::function<Value(const Match&)> transpose_into_product(size_t side) {
  return [side](const Match& match) -> Value {
    const Node& product = node_of(match.root);
    const Value transposed = match.root.graph().value(product.inputs[side]);
    std::vector<int64_t> swapped(transposed.rank());
    for (size_t i = 0; i < swapped.size(); ++i) swapped[i] = static_cast<int64_t>(i);
    std::swap(swapped[swapped.size() - 1], swapped[swapped.size() - 2]);
    if (permutation_of(transposed) != swapped) return {};
    Attributes attributes = product.attributes;
    const std::string flag = side == 0 ? "transpose_a" : "transpose_b";
    attributes.set(flag, !attributes.get<bool>(flag));
    const std::vector<Value> inputs{match.variables[0], match.variables[1]};
    return match.root.graph().add(*product.op, inputs, attributes, product.name, product.where);
  };
}

// Element-wise ops broadcast their inputs themselves.
Value drop_broadcasts(const Match& match) {
  Graph& graph = match.root.graph();
  const Node& node = node_of(match.root);
  std::vector<Value> inputs;
  bool changed = false;
  for (const Edge& edge : node.inputs) {
    const Node& input = graph.node(edge.node);
    const bool is_broadcast = input.op->name == "broadcast_to";
    inputs.push_back(graph.value(is_broadcast ? input.inputs[0] : edge));
    changed |= is_broadcast;
  }
  if (!changed) return {};
  const OpDef& op = *node.op;
  std::vector<TensorType> types;
  for (Value input : inputs) types.push_back(input.type());
  // At least one input must keep the full shape.
  const bool full =
      std::any_of(types.begin(), types.end(), [&](const TensorType& t) { return t == match.root.type(); });
  if (!full) return {};
  return graph.add(op, inputs, node.attributes, node.name, node.where);
}

// Σ s·f(x) = s·Σ f(x) by the op `sum` for one number s: the sum of a penalty as it stands in the loss.
std::function<Value(const Match&)> scaled_sum(std::string sum) {
  return [sum = std::move(sum)](const Match& match) -> Value {
    const auto [x, s] = std::tie(match.variables[0], match.variables[1]);
    if (element_count(s.shape()) != Dim(1) || x.rank() == 0) return {};
    return build("reshape", {s}, {{"shape", match.root.shape()}}) * build(sum, {x});
  };
}

std::vector<Rule> rules() {
  const Pattern x = Pattern::variable(0), y = Pattern::variable(1);
  const auto op = [](std::string name, std::vector<Pattern> inputs) {
    return Pattern::op(std::move(name), std::move(inputs));
  };
  // The driver applies a rule only where the type stays the same, so the conditions on shapes need not be
  // said.
  return {
      {"x * 1 → x", x * 1, x},
      {"x / 1 → x", x / 1, x},
      {"x - 0 → x", x - 0, x},
      {"-(-x) → x", -(-x), x},
      {"x + -y → x - y", x + (-y), x - y},
      {"x - -y → x + y", x - (-y), x + y},
      {"(-x) * (-y) → x * y", (-x) * (-y), x * y},
      {"sum(|x|) → abs_penalty(x)", op("sum", {op("abs", {x})}), op("abs_penalty", {x})},
      {"sum(x²) → square_penalty(x)", op("sum", {op("square", {x})}), op("square_penalty", {x})},
      {"sum(s * |x|) → s * abs_penalty(x) for one number s", op("sum", {y * op("abs", {x})}),
       scaled_sum("abs_penalty")},
      {"sum(s * x²) → s * square_penalty(x) for one number s", op("sum", {y * op("square", {x})}),
       scaled_sum("square_penalty")},
      {"stop_gradient(x) → x", op("stop_gradient", {x}), x},
      {"reshape(x) → x", op("reshape", {x}), x},
      {"reshape(reshape(x)) → reshape(x)", op("reshape", {op("reshape", {x})}),
       [](const Match& m) {
         const Node& root = node_of(m.root);
         return m.root.graph().add(*root.op, {&m.variables[0], 1}, root.attributes, root.name, root.where);
       }},
      {"broadcast_to(x) → x", op("broadcast_to", {x}), x},
      {"sum_to(x) → x", op("sum_to", {x}), x},
      {"cast(x) → x", op("cast", {x}), x},
      {"transpose(transpose(x)) → transpose(x)", op("transpose", {op("transpose", {x})}), merge_transposes},
      {"matmul(transpose(x), y) → matmul(x, y, transpose_a)", op("matmul", {op("transpose", {x}), y}),
       transpose_into_product(0)},
      {"matmul(x, transpose(y)) → matmul(x, y, transpose_b)", op("matmul", {x, op("transpose", {y})}),
       transpose_into_product(1)},
  };
}

}  // namespace

void simplify(const Graph& from, Graph& to) {
  static const std::vector<Rule> algebra = rules();
  Graph direct;
  GraphCopy copy(from, direct);
  for (int32_t id = 0; id < from.size(); ++id) {
    copy.copy(id);
    if (!from.node(id).op->traits.elementwise) continue;
    const Value value = copy.values(id)[0];
    if (const Value without = drop_broadcasts({value, {}})) copy.replace(id, {without});
  }
  copy.copy_outputs();
  rewrite(direct, to, algebra).copy_outputs();
}

}  // namespace lariat
