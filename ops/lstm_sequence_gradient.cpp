#include "ops/gemm.hpp"
#include "ops/lstm_gates.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace {

std::vector<TensorType> infer(const InferContext& c) { return {c.in(3)}; }

size_t workspace(std::span<const TensorView> inputs, std::span<const TensorView>, const Attributes&) {
  return 2 * static_cast<size_t>(inputs[0].extents[0] * inputs[0].extents[2]) * size_of(inputs[0].dtype);
}

// From the last step to the first: dh_t = dh_t(given) + dz_{t+1}·Rᵀ, then one row of gates at a time.
template <class T>
void backward(const KernelContext& k) {
  const int64_t batch = k.inputs[0].extents[0], time = k.inputs[0].extents[1],
                hidden = k.inputs[0].extents[2];
  const int64_t wide = 4 * hidden;
  const T *d_h = k.in<T>(0), *recurrent = k.in<T>(1), *cells = k.in<T>(2), *gates = k.in<T>(3);
  T* d_z = k.out<T>(0);
  T* d_hidden = reinterpret_cast<T*>(k.workspace);
  T* d_cell = d_hidden + batch * hidden;
  k.parallel.run(batch, lstm_rows_per_chunk, [&](int64_t begin, int64_t end) {
    std::fill(d_cell + begin * hidden, d_cell + end * hidden, T(0));
    for (int64_t t = time - 1; t >= 0; --t) {
      for (int64_t row = begin; row < end; ++row)
        std::copy_n(d_h + (row * time + t) * hidden, hidden, d_hidden + row * hidden);
      if (t + 1 < time)
        gemm_tile<T>(false, true, end - begin, hidden, wide, d_z + (begin * time + t + 1) * wide, time * wide,
                     recurrent, wide, T(1), d_hidden + begin * hidden, hidden);
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * time + t;
        lstm_backward_row<T>(gates + at * wide, t > 0 ? cells + (at - 1) * hidden : nullptr,
                             cells + at * hidden, d_hidden + row * hidden, d_cell + row * hidden,
                             d_z + at * wide, hidden);
      }
    }
  });
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
  const double steps = static_cast<double>(inputs[0].extents[0] * inputs[0].extents[1]);
  const double hidden = static_cast<double>(inputs[0].extents[2]);
  return {.flops = steps * (8 * hidden * hidden + 80 * hidden),
          .bytes = 3.0 * static_cast<double>(outputs[0].bytes())};
}

}  // namespace

// The backward sweep of lstm_sequence. Its own gradient is not offered: lstm_cell has one.
OpDef records::lstm_sequence_gradient() {
  OpDef def{.name = "lstm_sequence_gradient",
            .doc = "The adjoint of lstm_sequence's projected inputs; made by its gradient.",
            .inputs = {{"d_hidden", "[batch, time, units]"},
                       {"recurrent_kernel", "[units, 4·units]"},
                       {"cells", "[batch, time, units]"},
                       {"gates", "[batch, time, 4·units]"}},
            .outputs = {{"d_projected", "[batch, time, 4·units]"}}};
  def.traits.second_order = false;
  def.infer = infer;
  def.kernel = {backward<float>, backward<double>, nullptr};
  def.workspace = workspace;
  def.cost = cost;
  // One step, one unit: dc' = dh·o·(1 - tanh²c'); with c' = 0, i = f = o = 0.5, g = 0: dz = (0, 0, dh/4, 0).
  def.samples = {
      {"one step",
       {{{1, 1, 1}, {2}}, {{1, 4}, {0, 0, 0, 0}}, {{1, 1, 1}, {0}}, {{1, 1, 4}, {0.5, 0.5, 0, 0.5}}},
       {},
       {0, 0, 0.5, 0}}};
  return def;
}

}  // namespace lariat
