#pragma once

#include <initializer_list>

#include "graph/ir/graph.hpp"

namespace lariat {

/// Adds the node `op(operands…)`; numbers become constants of the other operands' dtype. Throws UserError
/// that names op and source line.
Value build(std::string_view op, std::initializer_list<Operand> operands, Attributes attributes = {},
            std::string name = {});
Value build(std::string_view op, std::span<const Operand> operands, Attributes attributes = {},
            std::string name = {});

/// Output `index` of the node that `value` belongs to. Throws UserError where it has none of that number.
Value output_of(Value value, int32_t index);

/// Element-wise arithmetic with numpy's broadcasting.
Value operator+(Operand a, Operand b);
Value operator-(Operand a, Operand b);
Value operator*(Operand a, Operand b);
Value operator/(Operand a, Operand b);
Value operator-(Operand a);

}  // namespace lariat
