#pragma once

#include "graph/builder.hpp"

// The functions that build nodes. Shapes broadcast by numpy's rule unless a line says otherwise; a number stands for
// a constant. Every function throws UserError naming op, source line, shapes and the next step.

namespace lariat {

/// 1 / (1 + exp(-x)).
Value sigmoid(Operand x);

// Products and recurrence.

/// The matrix product over the last two dimensions: a [..., m, k], b [k, n] or [..., k, n] -> [..., m, n].
Value matmul(Operand a, Operand b);

struct LstmState {
  Value hidden, cell;
};
/// One LSTM step (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000): x [batch, input], hidden and
/// cell [batch, units], input_kernel [input, 4·units], recurrent_kernel [units, 4·units], bias [4·units]; the gates
/// lie side by side as input, forget, candidate, output.
LstmState lstm_cell(Operand x, Operand hidden, Operand cell, Operand input_kernel, Operand recurrent_kernel, Operand bias,
                    double forget_bias = 0);
/// A whole LSTM layer from zero states: x [batch, time, input] -> hidden states [batch, time, units]; kernels and
/// bias as in lstm_cell.
Value lstm(Operand x, Operand input_kernel, Operand recurrent_kernel, Operand bias, double forget_bias = 0);

}  // namespace lariat
