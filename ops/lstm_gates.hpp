#pragma once

#include <cstdint>

namespace lariat {

// One row of LSTM units. Gates lie side by side: input i, forget f, candidate g, output o, each `hidden`
// long.
//   i, f, o = σ(z);  g = tanh(z);  c' = f·c + i·g;  h' = o·tanh(c')
// Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000).

/// Rows of a batch are independent through all of time, so chunks of them run in parallel without a barrier.
/// The size is a constant: results do not depend on the number of threads.
inline constexpr int64_t lstm_rows_per_chunk = 16;

/// Turns pre-activations `gates` [4·hidden] into activations in place; `cell` null means zeros. `forget_bias`
/// is added to the forget gate's pre-activation.
template <class T>
void lstm_forward_row(T* gates, const T* cell, T* next_cell, T* next_hidden, int64_t hidden, T forget_bias);

/// The adjoint of the pre-activations from the activations, cells, and the adjoints of h' and c'; writes the
/// adjoint of c over `d_cell`, which comes in as the adjoint of c' from later steps.
template <class T>
void lstm_backward_row(const T* gates, const T* cell, const T* next_cell, const T* d_hidden, T* d_cell,
                       T* d_gates, int64_t hidden);

}  // namespace lariat
