#pragma once

#include <cstdint>

namespace lariat {

// What the sweeps over time (sweep.hpp) ask a cell: a class of these members, for a type T of numbers.
//
//   Number; gates, how many units the recurrent kernel's columns are; slots, how many a step's products fill,
//   and keeps_slots, whether they stay for the way back; has_cell
//   and has_bias, of the recurrent part; carries, whether h_{t-1} reaches h_t past
//   the products; projects, whether backward() writes d_projected, which is d_z otherwise; products, in the
//   order in which a step takes them, and stages, in how many goes: all of them and then the units, or one
//   before the units of each; gradient, where its gradient finds its inputs;
//   Cell(attributes), which may be those of the gradient's op, forward<stage>(ForwardUnits) and
//   backward<stage>(BackwardUnits): the units of one row.

/// z[slot] = start + operand·R[:, gates]: one product of a step, in multiples of the units.
struct StepProduct {
  int64_t gate = 0, gates = 1, slot = 0;
  /// It starts at the recurrent bias rather than at the projected inputs.
  bool from_bias = false;
  /// Of what the stage before has put into `middle`, rather than of the hidden state.
  bool of_middle = false;
};

/// Which inputs of the gradient's op are what; -1: it takes none. The adjoints of the states come first, the
/// lengths and the recurrent mask last.
struct GradientInputs {
  int kernel, state = -1, slots = -1, previous = -1, initial_cell = -1, lengths;
};

/// Units [begin, end) of one row at one step. What is of several gates has them `units` apart.
template <class T>
struct ForwardUnits {
  const T *projected = nullptr, *z = nullptr;
  /// States before the step, and where they go; `cell` may be `next_cell`, and `slots` may be `z`. `operand`
  /// is the hidden state as the products take it.
  const T *hidden = nullptr, *operand = nullptr, *cell = nullptr;
  T *next_hidden = nullptr, *next_cell = nullptr, *slots = nullptr, *middle = nullptr;
  /// Of the recurrent part.
  const T* bias = nullptr;
  int64_t units = 0, begin = 0, end = 0;
};

template <class T>
struct BackwardUnits {
  const T *slots, *previous, *cell, *state;
  /// What the products had the hidden state times; nullptr: 1.
  const T* mask;
  /// The adjoint of h', and that of c', which becomes that of c.
  const T* d_hidden;
  T* d_cell;
  /// The adjoints of what the products gave, and of the projected inputs where those are others.
  T *d_z, *d_projected;
  /// What of d_hidden reaches h past the products; and of the stage after this one, the adjoint of `middle`.
  T *carry, *middle;
  int64_t units, begin, end;
};

}  // namespace lariat
