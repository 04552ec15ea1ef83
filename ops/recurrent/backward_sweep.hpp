#pragma once

#include "ops/kernels/phases.hpp"
#include "ops/kernels/product_kernel.hpp"
#include "ops/recurrent/row_lengths.hpp"

namespace lariat {

/// From the last step to the first: dh_t = dh_t(given) + dz_{t+1}·Rᵀ + what the cell carries past it, and
/// dc_t = dc_t(given) + dc_t(later), then the cell's units.
template <class Cell>
class BackwardSweep {
  using T = typename Cell::Number;
  static constexpr size_t adjoints = Cell::has_cell ? 2 : 1;

 public:
  static Workspace workspace(const KernelContext& k) {
    const SequenceSizes s(k.inputs[0], 1);
    const int64_t own = Cell::gates + 1 + Cell::has_cell + carries(k) + sweep_detail::has_middle<Cell>;
    return {static_cast<size_t>(packed_count<T>(Cell::gates * s.units, s.units) + s.batch * s.units * own) *
                sizeof(T),
            0};
  }

  explicit BackwardSweep(const KernelContext& k)
      : k_(k),
        s_(k.inputs[0], 1),
        wide_(Cell::gates * s_.units),
        cell_(k.attributes),
        lengths_(k.inputs[Cell::gradient.lengths], s_.time),
        packed_(reinterpret_cast<T*>(k.scratch.shared)),
        z_(packed_ + packed_count<T>(wide_, s_.units)),
        h_(z_ + s_.batch * wide_),
        first_(h_ + s_.batch * s_.units),
        carry_(first_ + (Cell::has_cell ? s_.batch * s_.units : 0)),
        middle_(carry_ + (carries(k) ? s_.batch * s_.units : 0)) {}

  void run() const {
    const bool to_initial = k_.attributes.get<bool>("to_initial");
    if (Cell::has_cell) std::fill_n(k_.out<T>(adjoints), s_.batch * s_.units, T(0));
    if (!to_initial || s_.time == 0) std::fill_n(k_.out<T>(1), s_.batch * s_.units, T(0));
    if (s_.batch == 0 || s_.time == 0) return;
    k_.parallel.run(s_.units, panel_columns<T>(), [&](int64_t begin, int64_t end) {
      pack_columns<T>({k_.in<T>(Cell::gradient.kernel), 1, wide_}, wide_, begin, end, packed_);
    });
    const SweepPieces pieces = sweep_pieces<T>(s_.batch, s_.units, k_.parallel.threads());
    if (pieces.rows > 0) {
      k_.parallel.run(s_.batch, pieces.rows, [&](int64_t begin, int64_t end) {
        for (int64_t t = s_.time - 1; t >= 0; --t) {
          pull(t, begin, end, 0, s_.units);
          step<Cell::stages - 1>(t, begin, end, 0, s_.units);
          if constexpr (Cell::stages == 2) step<0>(t, begin, end, 0, s_.units);
        }
        if (to_initial) pull(-1, begin, end, 0, s_.units);
      });
      return;
    }
    // Units of one piece read dz of all: the two meet in between.
    constexpr int64_t of_step = 1 + Cell::stages;
    run_in_phases(k_.parallel, s_.time * of_step + (to_initial ? 1 : 0), pieces.count(s_.units),
                  [&](int64_t phase, int64_t piece) {
                    const int64_t t = s_.time - 1 - phase / of_step;
                    const auto [from, to] = pieces.piece(piece, s_.units);
                    switch (phase % of_step) {
                      case 0:
                        return pull(t, 0, s_.batch, from, to);
                      case 1:
                        return step<Cell::stages - 1>(t, 0, s_.batch, from, to);
                      default:
                        return step<0>(t, 0, s_.batch, from, to);
                    }
                  });
  }

 private:
  static bool carries(const KernelContext& k) {
    return Cell::carries || k.inputs[Cell::gradient.lengths].rank() > 0;
  }

  // From row `begin` on; nullptr where nothing is masked.
  const T* mask_of(int64_t begin) const {
    constexpr auto input = static_cast<size_t>(Cell::gradient.lengths) + 1;
    return k_.inputs[input].rank() > 0 ? k_.in<T>(input) + begin * s_.units : nullptr;
  }

  // dh_t of units [from, to); that of the first step's state for t = -1.
  void pull(int64_t t, int64_t begin, int64_t end, int64_t from, int64_t to) const {
    const T* mask = mask_of(begin);
    MatrixView<T> given{};
    if (t >= 0) given = {k_.in<T>(0) + (begin * s_.time + t) * s_.units, s_.time * s_.units, 1};
    T* result = (t >= 0 ? h_ : k_.out<T>(1)) + begin * s_.units;
    if (t + 1 == s_.time && given.data) {
      for (int64_t row = 0; row < end - begin; ++row)
        std::copy(given.at(row, from).data, given.at(row, to).data, result + row * s_.units + from);
      return;
    }
    // The first stage's products are of the hidden state.
    const int64_t depth = Cell::stages == 2 ? Cell::products[0].gates * s_.units : wide_;
    multiply(0, depth, begin, end, from, to, mask ? MatrixView<T>{} : given, result);
    if (!mask && !carries(k_)) return;
    const T* carry = carries(k_) ? carry_ + begin * s_.units : nullptr;
    for (int64_t row = 0; row < end - begin; ++row)
      for (int64_t j = from; j < to; ++j) {
        const int64_t at = row * s_.units + j;
        if (mask) result[at] = result[at] * mask[at] + (given.data ? *given.at(row, j).data : T(0));
        if (carry) result[at] += carry[at];
      }
  }

  void multiply(int64_t first, int64_t depth, int64_t begin, int64_t end, int64_t from, int64_t to,
                MatrixView<T> start, T* result) const {
    multiply_packed<T>(end - begin, first, depth, wide_, from, to, {z_ + begin * wide_ + first, wide_, 1},
                       packed_, start, result, s_.units);
  }

  template <int stage>
  void step(int64_t t, int64_t begin, int64_t end, int64_t from, int64_t to) const {
    if constexpr (Cell::stages == 2 && stage == 0) {
      const StepProduct& later = Cell::products[1];
      multiply(later.gate * s_.units, later.gates * s_.units, begin, end, from, to, {},
               middle_ + begin * s_.units);
    }
    for (int64_t row = begin; row < end; ++row) finish<stage>(t, row, from, to);
  }

  template <int stage>
  void finish(int64_t t, int64_t row, int64_t from, int64_t to) const {
    constexpr GradientInputs inputs = Cell::gradient;
    const int64_t at = row * s_.time + t;
    const auto of_step = [&](int input, int64_t width) -> const T* {
      return input < 0 ? nullptr : k_.in<T>(static_cast<size_t>(input)) + at * width;
    };
    BackwardUnits<T> units{.slots = of_step(inputs.slots, Cell::slots * s_.units),
                           .previous = of_step(inputs.previous, s_.units),
                           .cell = nullptr,
                           .state = of_step(inputs.state, s_.units),
                           .mask = mask_of(row),
                           .d_hidden = h_ + row * s_.units,
                           .d_cell = nullptr,
                           .d_z = z_ + row * wide_,
                           .d_projected = k_.out<T>(0) + at * wide_,
                           .carry = carry_ + row * s_.units,
                           .middle = middle_ + row * s_.units,
                           .units = s_.units,
                           .begin = from,
                           .end = to};
    const bool alive = t < lengths_(row);
    if constexpr (Cell::has_cell) {
      units.d_cell = k_.out<T>(adjoints) + row * s_.units;
      const bool cells_given = k_.inputs[1].rank() > 0;
      const T* given = k_.in<T>(1) + (cells_given ? at * s_.units : 0);
      if (cells_given || *given != T(0))
        for (int64_t j = from; j < to; ++j) units.d_cell[j] += given[cells_given ? j : 0];
      T* first = first_ + row * s_.units;
      if (t == 0) copy_state(k_.inputs[inputs.initial_cell], row, from, to, first);
      units.cell = t > 0 ? units.state - s_.units : first;
    }
    if (alive && !Cell::carries && carries(k_)) std::fill(units.carry + from, units.carry + to, T(0));
    if (alive) {
      cell_.template backward<stage>(units);
    } else {
      std::copy(units.d_hidden + from, units.d_hidden + to, units.carry + from);
      for (int64_t gate = 0; gate < Cell::gates; ++gate)
        std::fill(units.d_z + gate * s_.units + from, units.d_z + gate * s_.units + to, T(0));
    }
    if (alive && Cell::projects) return;
    for (int64_t gate = 0; gate < Cell::gates; ++gate)
      std::copy(units.d_z + gate * s_.units + from, units.d_z + gate * s_.units + to,
                units.d_projected + gate * s_.units + from);
  }

  const KernelContext& k_;
  const SequenceSizes s_;
  const int64_t wide_;
  const Cell cell_;
  const sweep_detail::RowLengths lengths_;
  T *packed_, *z_, *h_, *first_, *carry_, *middle_;
};

}  // namespace lariat
