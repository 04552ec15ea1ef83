#include "graph/ir/builder.hpp"

#include <fmt/format.h>

#include "graph/base/error.hpp"
#include "graph/ir/registry.hpp"

namespace lariat {

Value build(std::string_view op, std::span<const Operand> operands, Attributes attributes, std::string name) {
  Value first;
  for (const Operand& operand : operands) {
    if (operand.is_empty())
      throw UserError(fmt::format("[{}]{} input {} is an empty Value; build the value first", op,
                                  operand.where.line() == 0 ? "" : " at " + text(operand.where) + ":",
                                  &operand - operands.data()));
    if (!operand.value) continue;
    if (first && &first.graph() != &operand.value.graph())
      throw UserError(std::string("[") + std::string(op) +
                      "] takes values of one graph; these belong to two");
    if (!first) first = operand.value;
  }
  if (!first)
    throw UserError(std::string("[") + std::string(op) +
                    "] takes a value of a graph; only numbers were given");
  Graph& graph = first.graph();
  std::vector<Value> inputs;
  inputs.reserve(operands.size());
  for (const Operand& operand : operands)
    inputs.push_back(operand.value ? operand.value
                                   : graph.constant(operand.number, first.dtype(), operand.where));
  return graph.add(registry().get(op), inputs, std::move(attributes), std::move(name), operands[0].where);
}

Value build(std::string_view op, std::initializer_list<Operand> operands, Attributes attributes,
            std::string name) {
  return build(op, std::span<const Operand>(operands.begin(), operands.size()), std::move(attributes),
               std::move(name));
}

Value output_of(Value value, int32_t index) {
  if (!value) throw UserError("an output of an empty Value was asked for; build the value first");
  const size_t outputs = value.graph().node(value.node()).outputs.size();
  if (index < 0 || static_cast<size_t>(index) >= outputs)
    throw UserError(text(value) + " has no output " + std::to_string(index) + "; it has " +
                    std::to_string(outputs));
  return {&value.graph(), value.node(), index};
}

Value operator+(Operand a, Operand b) { return build("add", {a, b}); }
Value operator-(Operand a, Operand b) { return build("subtract", {a, b}); }
Value operator*(Operand a, Operand b) { return build("multiply", {a, b}); }
Value operator/(Operand a, Operand b) { return build("divide", {a, b}); }
Value operator-(Operand a) { return build("negate", {a}); }

}  // namespace lariat
