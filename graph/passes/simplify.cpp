#include "graph/passes/simplify.hpp"

#include <algorithm>

#include "graph/ir/op_def.hpp"
#include "graph/passes/rewrite.hpp"

namespace lariat {

namespace {

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

bool is_broadcast(Value value) { return node_of(value).op->name == "broadcast_to"; }
Value source_of(Value value) { return value.graph().value(node_of(value).inputs[0]); }

// What a node adds to the graph, with other inputs.
Value with_inputs(Value node, std::span<const Value> inputs) {
  const Node& from = node_of(node);
  return node.graph().add(*from.op, inputs, from.attributes, from.name, from.where);
}

Value broadcast_like(Value value, Value like) {
  return build("broadcast_to", {Operand(value, node_of(like).where)}, {{"shape", like.shape()}});
}

// Element-wise ops broadcast their inputs themselves. Where no input has the full shape by itself, the result
// is broadcast instead: it is computed once for each of the few elements there are.
Value past_broadcasts(Value value) {
  std::vector<Value> inputs;
  bool changed = false, full = false;
  for (const Edge& edge : node_of(value).inputs) {
    const Value input = value.graph().value(edge);
    inputs.push_back(is_broadcast(input) ? source_of(input) : input);
    changed |= is_broadcast(input);
    full |= inputs.back().type() == value.type();
  }
  if (!changed) return {};
  const Value result = with_inputs(value, inputs);
  if (full) return result;
  // Of few elements that are broadcast to none at all, not one is computed as the graph is written.
  if (result.shape() == value.shape() || node_of(value).op->traits.refuses_elements) return {};
  return broadcast_like(result, value);
}

// Whether a reshape or slice fits its input whatever the symbols stand for. One that may not is refused at
// the run, and so must stay.
bool always_fits(Value moved) {
  const Shape &from = source_of(moved).shape(), &to = moved.shape();
  if (node_of(moved).op->name == "reshape") return element_count(from) == element_count(to);
  return std::equal(from.begin(), from.end(), to.begin(),
                    [](Dim before, Dim after) { return before.known() || before == after; });
}

// What only moves the elements of a broadcast number is that number, broadcast.
Value past_moves(Value value) {
  const Node& node = node_of(value);
  if (node.op->name != "reshape" && node.op->name != "transpose" && node.op->name != "slice") return {};
  if (node.op->name != "transpose" && !always_fits(value)) return {};
  const Value input = value.graph().value(node.inputs[0]);
  if (!is_broadcast(input) || element_count(source_of(input).shape()) != Dim(1)) return {};
  const Value number = build("reshape", {Operand(source_of(input), node.where)}, {{"shape", Shape{}}});
  return broadcast_like(number, value);
}

bool is_of_floats(const Match& match) { return is_float(match.root.dtype()); }

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
      {"sum(|x|) → abs_penalty(x)", op("sum", {op("abs", {x})}), op("abs_penalty", {x}), is_of_floats},
      {"sum(x²) → square_penalty(x)", op("sum", {op("square", {x})}), op("square_penalty", {x}),
       is_of_floats},
      {"stop_gradient(x) → x", op("stop_gradient", {x}), x},
      {"by_phase(x, y) → x", op("by_phase", {x, y}), x},
      {"reshape(x) → x", op("reshape", {x}), x},
      {"reshape(reshape(x)) → reshape(x)", op("reshape", {op("reshape", {x})}),
       [](const Match& m) {
         return always_fits(source_of(m.root)) ? with_inputs(m.root, m.variables) : Value();
       }},
      {"broadcast_to(x) → x", op("broadcast_to", {x}), x},
      {"broadcast_to(broadcast_to(x)) → broadcast_to(x)", op("broadcast_to", {op("broadcast_to", {x})}),
       [](const Match& m) { return with_inputs(m.root, m.variables); }},
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
    // A fused node has the types of its inputs written down in its body.
    const OpDef& op = *from.node(id).op;
    if (op.traits.elementwise && !op.block) continue;
    const Value value = copy.values(id)[0];
    const Value without = op.traits.elementwise ? past_broadcasts(value) : past_moves(value);
    if (without) copy.replace(id, {without});
  }
  copy.copy_outputs();
  rewrite(direct, to, algebra).copy_outputs();
}

}  // namespace lariat
