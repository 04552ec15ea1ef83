#pragma once

#include "graph/ir/op_def.hpp"

namespace lariat {

// What the ops of all cells share: sizes, shapes and records. A cell x has an op `x_sequence` over all steps,
// from projected inputs x·W + b, and `x_sequence_gradient`; see sweep.hpp for their kernels.

/// How a cell's tensors are made of its units.
struct CellShape {
  std::string name, doc;
  /// The gates in the kernels' columns, in words, and how many there are.
  std::string gates_doc;
  int64_t gates = 1;
  /// A second state, which steps within its own unit.
  bool has_cell = false;
  /// What is kept of a step, "gates": so many units; 0: nothing.
  int64_t kept = 0;
  std::string kept_doc = {};
  /// The bias of the recurrent part, [units]: "", or what it is called.
  std::string bias = {};
};

/// Of a sequence [batch, time, wide], `wide` being so many units.
struct SequenceSizes {
  int64_t batch, time, wide, units;
  SequenceSizes(const TensorView& sequence, int64_t gates)
      : batch(sequence.extents[0]),
        time(sequence.extents[1]),
        wide(sequence.extents[2]),
        units(wide / gates) {}
};

/// to[begin:end] = the units of `row` in a state that broadcasts to [batch, units].
template <class T>
void copy_state(const TensorView& state, int64_t row, int64_t begin, int64_t end, T* to);

/// How a step of all rows is cut: pieces of `rows` that run through all of time without waiting for each
/// other, or, where there are too few rows, pieces of `units` that meet after each step.
struct SweepPieces {
  int64_t rows = 0, units = 0;

  /// Of `all` units: how many pieces there are, and the first and last unit of one.
  int64_t count(int64_t all) const { return (all + units - 1) / units; }
  std::pair<int64_t, int64_t> piece(int64_t index, int64_t all) const {
    return {index * units, std::min(all, (index + 1) * units)};
  }
};
template <class T>
SweepPieces sweep_pieces(int64_t batch, int64_t units, int threads);

/// Inputs projected, recurrent_kernel, initial states, lengths, recurrent_mask and perhaps a bias; outputs
/// the states, what is kept, and the hidden states before each step.
OpDef sequence_record(const CellShape& cell);
std::vector<TensorType> infer_sequence(const InferContext& c, const CellShape& cell);

struct GradientInputs;
/// Inputs adjoints of the states, recurrent_kernel, and those that `inputs` names; outputs the adjoints of
/// projected and of the initial states.
OpDef sequence_gradient_record(const CellShape& cell, const GradientInputs& inputs);
std::vector<TensorType> infer_sequence_gradient(const InferContext& c, const CellShape& cell,
                                                const GradientInputs& inputs);
Cost sequence_cost(double steps, double units, int64_t gates, double bytes);

/// One step: inputs x, the states, input_kernel, recurrent_kernel, bias and perhaps the recurrent part's;
/// outputs the states and what is kept.
OpDef cell_record(const CellShape& cell);
std::vector<TensorType> infer_cell(const InferContext& c, const CellShape& cell);

/// The node x_sequence; without `lengths` all steps count, and without a mask nothing is masked.
Value build_sequence(const CellShape& cell, std::vector<Operand> inputs, Value lengths, Value recurrent_mask,
                     Attributes attributes = {});
/// The hidden states before each step, as the recurrent products take them.
Value masked_states(Value previous, Value recurrent_mask);
/// dR = Σ_t (h_{t-1}·mask)ᵀ·dz_t as one product over all steps of the batch.
Value recurrent_kernel_gradient(Value operand, Value d_z);
/// Σ_t h_{t-1}·(dz_t·Rᵀ), or nothing for a mask that is none.
Value recurrent_mask_gradient(Value recurrent_mask, Value previous, Value d_z, Value recurrent_kernel);
/// x·W + b of all steps of a chain.
Value projected_steps(const RecurrentChain& chain);

}  // namespace lariat
