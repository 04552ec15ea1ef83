#pragma once

#include "graph/base/tensor.hpp"

namespace lariat {

// One row of LSTM units. Gates lie side by side: input i, forget f, candidate g, output o, each `hidden`
// long.
//   i, f, o = σ(z);  g = tanh(z);  c' = f·c + i·g;  h' = o·tanh(c')
// Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000).

/// Turns the pre-activations z [4·hidden] of units [begin, end) into activations in `gates`, which may be z.
/// `cell` null means zeros. `forget_bias` is added to the forget gate's pre-activation.
template <class T>
void lstm_forward_row(const T* z, T* gates, const T* cell, T* next_cell, T* next_hidden, int64_t hidden,
                      int64_t begin, int64_t end, T forget_bias);

/// The adjoint of the pre-activations of units [begin, end) from the activations, cells, and the adjoints of
/// h' and c'; writes the adjoint of c over `d_cell`, which comes in as the adjoint of c' from later steps.
template <class T>
void lstm_backward_row(const T* gates, const T* cell, const T* next_cell, const T* d_hidden, T* d_cell,
                       T* d_gates, int64_t hidden, int64_t begin, int64_t end);

/// to[begin:end] = the units of `row` in a state that broadcasts to [batch, units].
template <class T>
void copy_state(const TensorView& state, int64_t row, int64_t begin, int64_t end, T* to);

/// How a step of all rows is cut: pieces of `rows` that run through all of time without waiting for each
/// other, or, where there are too few rows, pieces of `units` that meet after each step.
struct LstmPieces {
  int64_t rows = 0, units = 0;
};
template <class T>
LstmPieces lstm_pieces(int64_t batch, int64_t hidden, int threads);

}  // namespace lariat
