#pragma once

#include <algorithm>
#include <array>
#include <type_traits>

#include "ops/kernels/axes.hpp"
#include "ops/kernels/phases.hpp"
#include "ops/kernels/product_kernel.hpp"
#include "ops/kernels/sparse_product.hpp"
#include "ops/recurrent/cell.hpp"
#include "ops/recurrent/recurrence.hpp"

namespace lariat {

namespace sweep_detail {

template <class Cell>
constexpr bool has_middle = std::any_of(Cell::products.begin(), Cell::products.end(),
                                        [](const StepProduct& p) { return p.of_middle; });
/// Of a sequence: projected, recurrent kernel, initial states, lengths, recurrent mask, recurrent bias.
template <class Cell>
constexpr size_t lengths_input = Cell::has_cell ? 4 : 3;
template <class Cell>
constexpr size_t mask_input = lengths_input<Cell> + 1;
template <class Cell>
constexpr size_t recurrent_bias_input = lengths_input<Cell> + 2;

/// How many steps each row has: all of them where the input is a scalar.
struct RowLengths {
  const int32_t* of_row;
  int64_t time;
  RowLengths(const TensorView& lengths, int64_t time)
      : of_row(lengths.rank() == 0 ? nullptr : lengths.as<int32_t>()), time(time) {
    if (of_row) check_lengths(lengths, time);
  }
  int64_t operator()(int64_t row) const { return of_row ? of_row[row] : time; }
  int64_t longest(int64_t begin, int64_t end) const {
    return of_row && begin < end ? *std::max_element(of_row + begin, of_row + end) : time;
  }
};

/// A constant recurrent kernel: the columns of each product, packed one after the other, and those without
/// their zeros where that may pay.
struct PackedKernel {
  std::shared_ptr<std::byte> dense;
  std::vector<std::shared_ptr<const SparseMatrix>> sparse;
};

}  // namespace sweep_detail

/// Of any cell (cell.hpp): z_t = projected_t + h_{t-1}·R, and then its units. What a step needs of all rows
/// lies together: the rows of a step are far apart in the outputs. Behind a row's end its states stay.
template <class Cell>
class ForwardSweep {
  using T = typename Cell::Number;

 public:
  static int64_t packed_elements(int64_t units) {
    int64_t count = 0;
    for (const StepProduct& p : Cell::products) count += packed_count<T>(units, p.gates * units);
    return count;
  }

  static Workspace workspace(const KernelContext& k) {
    const SequenceSizes s(k.inputs[0], Cell::gates);
    const int64_t own = Cell::slots + 1 + is_masked(k) + sweep_detail::has_middle<Cell> + Cell::has_cell;
    const int64_t packed = k.packed ? 0 : packed_elements(s.units);
    size_t of_sparse = 0;
    if (k.packed)
      for (const auto& sparse : static_cast<const sweep_detail::PackedKernel*>(k.packed)->sparse)
        if (sparse) of_sparse = sparse_workspace(s.batch).per_thread;
    return {static_cast<size_t>(packed + s.batch * s.units * own) * sizeof(T), of_sparse};
  }

  static std::shared_ptr<const void> packed(const KernelContext& k) {
    const SequenceSizes s(k.inputs[0], Cell::gates);
    sweep_detail::PackedKernel kernel;
    kernel.dense = allocate_bytes(static_cast<size_t>(packed_elements(s.units)) * sizeof(T));
    pack(k, s, reinterpret_cast<T*>(kernel.dense.get()));
    if constexpr (std::is_same_v<T, float>)
      for (const StepProduct& p : Cell::products)
        kernel.sparse.push_back(
            pack_sparse(false, p.gates * s.units, s.units, k.in<T>(1) + p.gate * s.units, s.wide));
    return std::make_shared<sweep_detail::PackedKernel>(std::move(kernel));
  }

  explicit ForwardSweep(const KernelContext& k)
      : k_(k),
        s_(k.inputs[0], Cell::gates),
        cell_(k.attributes),
        lengths_(k.inputs[sweep_detail::lengths_input<Cell>], s_.time),
        kernel_(static_cast<const sweep_detail::PackedKernel*>(k.packed)),
        packed_(kernel_ ? reinterpret_cast<const T*>(kernel_->dense.get()) : nullptr),
        z_(reinterpret_cast<T*>(k.scratch.shared) + (packed_ ? 0 : packed_elements(s_.units))),
        h_(z_ + s_.batch * Cell::slots * s_.units),
        operand_(h_ + (is_masked(k) ? s_.batch * s_.units : 0)),
        middle_(operand_ + s_.batch * s_.units),
        cell_state_(middle_ + (sweep_detail::has_middle<Cell> ? s_.batch * s_.units : 0)) {}

  void run() {
    if (s_.batch == 0 || s_.time == 0) return;
    if (!packed_) {
      T* packed = reinterpret_cast<T*>(k_.scratch.shared);
      pack(k_, s_, packed);
      packed_ = packed;
    }
    const SweepPieces pieces = sweep_pieces<T>(s_.batch, s_.units, k_.parallel.threads());
    if (pieces.rows > 0) {
      k_.parallel.run(s_.batch, pieces.rows, [&](int64_t begin, int64_t end) {
        const int64_t last = lengths_.longest(begin, end);
        for (int64_t t = 0; t < s_.time; ++t) {
          take_hidden(t, begin, end);
          stages(t < last, [&](auto stage) { step<stage>(t, begin, end, 0, s_.units); });
        }
      });
      return;
    }
    const int64_t last = lengths_.longest(0, s_.batch);
    take_hidden(0, 0, s_.batch);
    run_in_phases(
        k_.parallel, s_.time * Cell::stages, pieces.count(s_.units),
        [&](int64_t phase, int64_t piece) {
          const int64_t t = phase / Cell::stages;
          const auto [from, to] = pieces.piece(piece, s_.units);
          if (phase % Cell::stages + 1 == Cell::stages) {
            step<Cell::stages - 1>(t, 0, s_.batch, from, to);
          } else if (t < last) {
            step<0>(t, 0, s_.batch, from, to);
          }
        },
        [&](int64_t phase) {
          const int64_t next = (phase + 1) / Cell::stages;
          if ((phase + 1) % Cell::stages == 0 && next < s_.time) take_hidden(next, 0, s_.batch);
        });
  }

 private:
  static bool is_masked(const KernelContext& k) {
    return k.inputs[sweep_detail::mask_input<Cell>].rank() > 0;
  }

  static void pack(const KernelContext& k, const SequenceSizes& s, T* to) {
    for (const StepProduct& p : Cell::products) {
      const MatrixView<T> columns{k.in<T>(1) + p.gate * s.units, s.wide, 1};
      k.parallel.run(p.gates * s.units, 4 * panel_columns<T>(),
                     [&](int64_t begin, int64_t end) { pack_columns<T>(columns, s.units, begin, end, to); });
      to += packed_count<T>(s.units, p.gates * s.units);
    }
  }

  // Each of a step's stages; behind the end of all these rows the last, which keeps the states.
  template <class Body>
  void stages(bool alive, const Body& body) const {
    if constexpr (Cell::stages == 2)
      if (alive) body(std::integral_constant<int, 0>());
    body(std::integral_constant<int, Cell::stages - 1>());
  }

  // h_{t-1} of rows, which the backward pass needs too.
  void take_hidden(int64_t t, int64_t begin, int64_t end) const {
    T* previous = k_.out<T>(k_.outputs.size() - 1);
    for (int64_t row = begin; row < end; ++row) {
      T* to = h_ + row * s_.units;
      if (t > 0) {
        std::copy_n(k_.out<T>(0) + (row * s_.time + t - 1) * s_.units, s_.units, to);
      } else {
        copy_state(k_.inputs[2], row, 0, s_.units, to);
      }
      if (previous) std::copy_n(to, s_.units, previous + (row * s_.time + t) * s_.units);
      if (operand_ == h_) continue;
      const T* mask = k_.in<T>(sweep_detail::mask_input<Cell>) + row * s_.units;
      for (int64_t j = 0; j < s_.units; ++j) operand_[row * s_.units + j] = to[j] * mask[j];
    }
  }

  template <int stage>
  void step(int64_t t, int64_t begin, int64_t end, int64_t from, int64_t to) const {
    if (t < lengths_.longest(begin, end)) {
      const T* packed = packed_;
      for (size_t i = 0; i < Cell::products.size(); ++i) {
        const StepProduct& p = Cell::products[i];
        if (Cell::stages == 1 || i == stage) multiply(i, packed, t, begin, end, from, to);
        packed += packed_count<T>(s_.units, p.gates * s_.units);
      }
    }
    for (int64_t row = begin; row < end; ++row) finish<stage>(t, row, from, to);
  }

  void multiply(size_t product, const T* packed, int64_t t, int64_t begin, int64_t end, int64_t from,
                int64_t to) const {
    const StepProduct& p = Cell::products[product];
    const T* operand = p.of_middle ? middle_ : operand_;
    T* result = z_ + (begin * Cell::slots + p.slot) * s_.units;
    MatrixView<T> start{k_.in<T>(0) + (begin * s_.time + t) * s_.wide + p.gate * s_.units, s_.time * s_.wide,
                        1};
    if (p.from_bias) start = {k_.in<T>(sweep_detail::recurrent_bias_input<Cell>), 0, 1};
    const bool all_units = from == 0 && to == s_.units;
    const SparseMatrix* sparse = nullptr;
    if (kernel_ && !kernel_->sparse.empty()) sparse = kernel_->sparse[product].get();
    // Of some units, only few rows are multiplied without zeros.
    if (sparse &&
        (!sparse_pays(*sparse, end - begin) || !(all_units || has_sparse_columns(*sparse, end - begin))))
      sparse = nullptr;
    if constexpr (std::is_same_v<T, float>)
      if (sparse && all_units)
        return multiply_sparse_tile(end - begin, operand + begin * s_.units, s_.units, *sparse,
                                    {start.data, start.row}, result, Cell::slots * s_.units,
                                    k_.scratch.own(k_.parallel));
    const auto columns = [&](int64_t first, int64_t last) {
      if constexpr (std::is_same_v<T, float>)
        if (sparse)
          return multiply_sparse_columns(end - begin, operand + begin * s_.units, s_.units, *sparse, first,
                                         last, {start.data, start.row}, result, Cell::slots * s_.units);
      multiply_packed<T>(end - begin, s_.units, first, last, {operand + begin * s_.units, s_.units, 1},
                         packed, start, result, Cell::slots * s_.units);
    };
    if (all_units) return columns(0, p.gates * s_.units);
    for (int64_t gate = 0; gate < p.gates; ++gate) columns(gate * s_.units + from, gate * s_.units + to);
  }

  template <int stage>
  void finish(int64_t t, int64_t row, int64_t from, int64_t to) const {
    const int64_t at = row * s_.time + t;
    // What nobody reads of the cells and slots stays where it was.
    T *cell = nullptr, *slots = nullptr;
    const T* before = nullptr;
    if constexpr (Cell::has_cell) {
      T* const all = k_.out<T>(1);
      cell = all ? all + at * s_.units : cell_state_ + row * s_.units;
      before = all && t > 0 ? cell - s_.units : cell;
      // The first cells are put where the row's own will be.
      if (t == 0) copy_state(k_.inputs[3], row, from, to, cell);
    }
    if constexpr (Cell::keeps_slots) {
      T* const all = k_.out<T>(1 + Cell::has_cell);
      slots = all ? all + at * Cell::slots * s_.units : z_ + row * Cell::slots * s_.units;
    }
    const T* hidden = h_ + row * s_.units;
    T* next = k_.out<T>(0) + at * s_.units;
    if (t >= lengths_(row)) {
      std::copy(hidden + from, hidden + to, next + from);
      if (Cell::has_cell && before != cell) std::copy(before + from, before + to, cell + from);
      for (int64_t slot = 0; Cell::keeps_slots && slot < Cell::slots; ++slot)
        std::fill(slots + slot * s_.units + from, slots + slot * s_.units + to, T(0));
      return;
    }
    cell_.template forward<stage>(ForwardUnits<T>{
        k_.in<T>(0) + at * s_.wide, z_ + row * Cell::slots * s_.units, hidden, operand_ + row * s_.units,
        before, next, cell, slots, middle_ + row * s_.units,
        Cell::has_bias ? k_.in<T>(sweep_detail::recurrent_bias_input<Cell>) : nullptr, s_.units, from, to});
  }

  const KernelContext& k_;
  const SequenceSizes s_;
  const Cell cell_;
  const sweep_detail::RowLengths lengths_;
  const sweep_detail::PackedKernel* const kernel_;
  const T* packed_;
  T *z_, *h_, *operand_, *middle_, *cell_state_;
};

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
    run_in_phases(
        k_.parallel, s_.time * of_step + (to_initial ? 1 : 0), pieces.count(s_.units),
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
        },
        [](int64_t) {});
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

/// The kernels of a family of cells: `Family::with<T>(attributes, body)` gives `body` the std::type_identity
/// of the one that a node's attributes choose.
template <class Family>
struct SweepKernels {
  static void put_forward(OpDef& def) {
    def.kernel = {run<ForwardSweep, float>, run<ForwardSweep, double>, nullptr};
    def.workspace = workspace<ForwardSweep>;
    def.pack = [](const KernelContext& k) -> std::shared_ptr<const void> {
      if (!k.inputs[1].data) return {};
      return of<ForwardSweep>(k, [&](auto sweep) { return decltype(sweep)::type::packed(k); });
    };
  }
  static void put_backward(OpDef& def) {
    def.kernel = {run<BackwardSweep, float>, run<BackwardSweep, double>, nullptr};
    def.workspace = workspace<BackwardSweep>;
  }

 private:
  template <template <class> class Sweep, class T>
  static void run(const KernelContext& k) {
    Family::template with<T>(k.attributes, [&](auto cell) { Sweep<typename decltype(cell)::type>(k).run(); });
  }
  template <template <class> class Sweep, class Body>
  static auto of(const KernelContext& k, const Body& body) {
    const auto sweep = [&](auto cell) {
      return body(std::type_identity<Sweep<typename decltype(cell)::type>>());
    };
    return k.inputs[0].dtype == f32 ? Family::template with<float>(k.attributes, sweep)
                                    : Family::template with<double>(k.attributes, sweep);
  }
  template <template <class> class Sweep>
  static Workspace workspace(const KernelContext& k) {
    return of<Sweep>(k, [&](auto sweep) { return decltype(sweep)::type::workspace(k); });
  }
};

}  // namespace lariat
