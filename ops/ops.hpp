#pragma once

#include "graph/builder.hpp"

// The functions that build nodes. Shapes broadcast by numpy's rule unless a line says otherwise; a number stands for
// a constant. Every function throws UserError naming op, source line, shapes and the next step.

namespace lariat {

/// 1 / (1 + exp(-x)).
Value sigmoid(Operand x);

}  // namespace lariat
