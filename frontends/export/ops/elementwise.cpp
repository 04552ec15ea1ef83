#include <fmt/format.h>

#include "frontends/export/c_op.hpp"
#include "graph/base/error.hpp"

namespace lariat::to_c {

namespace {

COp element(std::string op, std::string expression, std::string of_integers = "") {
  return {.op = std::move(op), .element = std::move(expression), .element_i32 = std::move(of_integers)};
}

COp fused() { return {.op = "fused", .emit = emit_elementwise}; }

std::string attribute_text(const Attribute& attribute) {
  if (const double* real = std::get_if<double>(&attribute)) return literal(static_cast<float>(*real));
  if (const int64_t* integer = std::get_if<int64_t>(&attribute)) return literal(*integer);
  throw InternalError("internal fault: an attribute of another kind than a number stands in C");
}

// The expression with arguments, attributes and helpers put in.
std::string filled(CBlock& block, const Node& node, const std::string& expression,
                   const std::vector<std::string>& arguments) {
  std::string result;
  for (size_t i = 0; i < expression.size();) {
    const char c = expression[i++];
    if (c != '$' && c != '@') {
      result += c;
      continue;
    }
    std::string name;
    while (i < expression.size() &&
           (std::isalnum(static_cast<unsigned char>(expression[i])) != 0 || expression[i] == '_'))
      name += expression[i++];
    if (c == '@') {
      result += block.unit.helper(name);
    } else if (name.size() == 1 && name[0] <= '9') {
      result += arguments.at(static_cast<size_t>(name[0] - '0'));
    } else {
      const Attribute* attribute = node.attributes.find(name);
      require(attribute != nullptr, "an expression of C names attributes of its op");
      result += attribute_text(*attribute);
    }
  }
  return result;
}

std::string expression_of(CBlock& block, const Node& node, const std::vector<std::string>& arguments) {
  if (node.op->name == "cast")
    return fmt::format("({}){}", node.outputs[0].dtype == i32 ? "int32_t" : "float", arguments[0]);
  const COp* op = find_c_op(node.op->name);
  require(op && !op->element.empty(), "a loop of C is of element-wise ops");
  const bool integers = node.outputs[0].dtype == i32;
  return filled(block, node, integers && !op->element_i32.empty() ? op->element_i32 : op->element, arguments);
}

// Axes of a loop over `space`: neighbours that all operands step through alike are one.
struct Axis {
  int64_t extent;
  std::vector<int64_t> strides;  // of each operand, 0 where it repeats
};

std::vector<Axis> axes_of(const Extents& space, const std::vector<CValue>& operands) {
  std::vector<Axis> axes;
  std::vector<int64_t> next(operands.size(), 1);
  for (size_t i = space.size(); i-- > 0;) {
    Axis axis{space[i], {}};
    for (size_t o = 0; o < operands.size(); ++o) {
      const Extents& extents = operands[o].extents;
      const size_t behind = space.size() - i;
      const int64_t extent = behind <= extents.size() ? extents[extents.size() - behind] : 1;
      axis.strides.push_back(extent == 1 ? 0 : next[o]);
      next[o] *= extent;
    }
    if (axis.extent == 1) continue;
    const bool joins = !axes.empty() && [&] {
      for (size_t o = 0; o < operands.size(); ++o)
        if (axis.strides[o] != axes.back().strides[o] * axes.back().extent) return false;
      return true;
    }();
    if (joins) {
      axes.back().extent *= axis.extent;
    } else {
      axes.push_back(axis);
    }
  }
  return {axes.rbegin(), axes.rend()};
}

std::string index_of(const std::vector<Axis>& axes, const std::vector<std::string>& counters,
                     size_t operand) {
  std::string index;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t stride = axes[i].strides[operand];
    if (stride == 0) continue;
    if (!index.empty()) index += " + ";
    index += stride == 1 ? counters[i] : fmt::format("{} * {}", stride, counters[i]);
  }
  return index.empty() ? "0" : index;
}

}  // namespace

void emit_elementwise(CBlock& block, const CNode& node) {
  std::vector<CValue> operands = node.inputs;
  const size_t first_output = operands.size();
  for (const CValue& output : node.outputs) operands.push_back(output);
  const Extents& space = node.outputs[0].extents;
  const std::vector<Axis> axes = axes_of(space, operands);
  std::vector<std::string> counters;
  for (const Axis& axis : axes) counters.push_back(block.loop(axis.extent));
  const auto at = [&](size_t operand) {
    return block.element(operands[operand], index_of(axes, counters, operand));
  };
  if (node.node.op->name != "fused") {
    std::vector<std::string> arguments;
    for (size_t i = 0; i < first_output; ++i) arguments.push_back(at(i));
    block.line(fmt::format("{} = {};", at(first_output), expression_of(block, node.node, arguments)));
  } else {
    const Graph& body = *node.attribute<std::shared_ptr<const Graph>>("body");
    std::vector<std::string> names(static_cast<size_t>(body.size()));
    size_t next = 0;
    block.line("{");
    for (int32_t id = 0; id < body.size(); ++id) {
      const Node& inner = body.node(id);
      const char* type = inner.outputs[0].dtype == i32 ? "int32_t" : "float";
      std::string& name = names[static_cast<size_t>(id)];
      if (inner.op->traits.source == SourceKind::input) {
        const size_t operand = next++;
        name = at(operand);
        if (operands[operand].constant && operands[operand].count() == 1) continue;
        block.line(fmt::format("const {} t{} = {};", type, id, name));
      } else {
        std::vector<std::string> arguments;
        for (const Edge& edge : inner.inputs) arguments.push_back(names[static_cast<size_t>(edge.node)]);
        block.line(fmt::format("const {} t{} = {};", type, id, expression_of(block, inner, arguments)));
      }
      name = fmt::format("t{}", id);
    }
    for (size_t o = 0; o < body.outputs().size(); ++o)
      block.line(fmt::format("{} = {};", at(first_output + o),
                             names[static_cast<size_t>(body.outputs()[o].value.node)]));
    block.close();
  }
  for (size_t i = 0; i < axes.size(); ++i) block.end();
}

std::vector<COp> c_ops::elementwise() {
  std::vector<COp> ops{
      fused(),
      element("cast", "$0"),
      element("stop_gradient", "$0"),
      element("abs", "fabsf($0)", "($0 < 0 ? -$0 : $0)"),
      element("sign", "(float)(($0 > 0.0F) - ($0 < 0.0F))", "($0 > 0) - ($0 < 0)"),
      element("negate", "-($0)"),
      element("add", "$0 + $1"),
      element("subtract", "$0 - ($1)"),
      element("multiply", "($0) * ($1)"),
      element("divide", "($0) / ($1)", "($1 == 0 ? 0 : ($0) / ($1))"),
      element("maximum", "($0 > $1 || $0 != $0 ? $0 : $1)", "($0 > $1 ? $0 : $1)"),
      element("minimum", "($0 < $1 || $0 != $0 ? $0 : $1)", "($0 < $1 ? $0 : $1)"),
      element("multiply_add", "($0) * ($1) + $2"),
      element("clip", "($0 < $low ? $low : $0 > $high ? $high : $0)"),
      element("square", "($0) * ($0)"),
      element("sqrt", "sqrtf($0)"),
      element("reciprocal", "1.0F / ($0)"),
      element("power", "powf($0, $1)"),
      element("exp", "@exponential($0)"),
      element("expm1", "expm1f($0)"),
      element("log", "@logarithm($0)"),
      element("log1p", "log1pf($0)"),
      element("sin", "sinf($0)"),
      element("cos", "cosf($0)"),
      element("erf", "erff($0)"),
      element("relu", "($0 < 0.0F ? 0.0F : $0)", "($0 < 0 ? 0 : $0)"),
      element("leaky_relu", "($0 > 0.0F ? $0 : $slope * ($0))"),
      element("elu", "($0 > 0.0F ? $0 : $alpha * expm1f($0))"),
      element("gelu", "0.5F * ($0) * erfcf(($0) * -0.707106781F)"),
      element("sigmoid", "@sigmoid($0)"),
      element("silu", "($0) * @sigmoid($0)"),
      element("tanh", "@hyperbolic_tangent($0)"),
      element("softplus", "($0 > 0.0F ? $0 : 0.0F) + log1pf(@exponential(-fabsf($0)))"),
      element("log_sigmoid", "($0 < 0.0F ? $0 : 0.0F) - log1pf(@exponential(-fabsf($0)))"),
      element("greater", "(float)($0 > $1)", "($0 > $1)"),
      element("greater_equal", "(float)($0 >= $1)", "($0 >= $1)"),
      element("less", "(float)($0 < $1)", "($0 < $1)"),
      element("less_equal", "(float)($0 <= $1)", "($0 <= $1)"),
      element("equal", "(float)($0 == $1)", "($0 == $1)"),
      element("select", "($0 != 0.0F ? $1 : $2)", "($0 != 0 ? $1 : $2)"),
  };
  for (COp& op : ops) op.emit = emit_elementwise;
  return ops;
}

}  // namespace lariat::to_c
