#pragma once

#include <type_traits>

#include "ops/kernels/coded_product.hpp"
#include "ops/kernels/phases.hpp"
#include "ops/kernels/product_kernel.hpp"
#include "ops/kernels/sparse_product.hpp"
#include "ops/recurrent/row_lengths.hpp"

namespace lariat {

namespace sweep_detail {

/// Of a sequence: projected, recurrent kernel, initial states, lengths, recurrent mask, recurrent bias.
template <class Cell>
constexpr size_t lengths_input = Cell::has_cell ? 4 : 3;
template <class Cell>
constexpr size_t mask_input = lengths_input<Cell> + 1;
template <class Cell>
constexpr size_t recurrent_bias_input = lengths_input<Cell> + 2;

/// A constant recurrent kernel: the columns of each product, packed one after the other, unless all are there
/// as bytes; and those without their zeros where that may pay.
struct PackedKernel {
  std::shared_ptr<std::byte> dense;
  std::vector<std::shared_ptr<const SparseMatrix>> sparse;
  std::vector<std::shared_ptr<const CodedMatrix>> coded;
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
    Workspace of_products;
    if (k.packed) {
      const auto& kernel = *static_cast<const sweep_detail::PackedKernel*>(k.packed);
      for (const auto& sparse : kernel.sparse)
        if (sparse) of_products = sparse_workspace(s.batch);
      if (!kernel.coded.empty()) of_products = larger(of_products, coded_workspace(s.batch));
    }
    return {static_cast<size_t>(packed + s.batch * s.units * own) * sizeof(T), of_products.per_thread};
  }

  static std::shared_ptr<const void> packed(const KernelContext& k) {
    const SequenceSizes s(k.inputs[0], Cell::gates);
    sweep_detail::PackedKernel kernel;
    if constexpr (std::is_same_v<T, float>)
      for (const StepProduct& p : Cell::products) {
        const float* columns = k.in<T>(1) + p.gate * s.units;
        kernel.sparse.push_back(pack_sparse(false, p.gates * s.units, s.units, columns, s.wide));
        if (auto coded = pack_coded(p.gates * s.units, s.units, columns, s.wide))
          kernel.coded.push_back(std::move(coded));
      }
    if (kernel.coded.size() != Cell::products.size()) {
      kernel.coded.clear();
      kernel.dense = allocate_bytes(static_cast<size_t>(packed_elements(s.units)) * sizeof(T));
      pack(k, s, reinterpret_cast<T*>(kernel.dense.get()));
    }
    return std::make_shared<sweep_detail::PackedKernel>(std::move(kernel));
  }

  explicit ForwardSweep(const KernelContext& k)
      : k_(k),
        s_(k.inputs[0], Cell::gates),
        cell_(k.attributes),
        lengths_(k.inputs[sweep_detail::lengths_input<Cell>], s_.time),
        kernel_(static_cast<const sweep_detail::PackedKernel*>(k.packed)),
        packed_(kernel_ ? reinterpret_cast<const T*>(kernel_->dense.get()) : nullptr),
        z_(reinterpret_cast<T*>(k.scratch.shared) + (kernel_ ? 0 : packed_elements(s_.units))),
        h_(z_ + s_.batch * Cell::slots * s_.units),
        operand_(h_ + (is_masked(k) ? s_.batch * s_.units : 0)),
        middle_(operand_ + s_.batch * s_.units),
        cell_state_(middle_ + (sweep_detail::has_middle<Cell> ? s_.batch * s_.units : 0)) {}

  void run() {
    if (s_.batch == 0 || s_.time == 0) return;
    if (!kernel_) {
      T* packed = reinterpret_cast<T*>(k_.scratch.shared);
      pack(k_, s_, packed);
      packed_ = packed;
    }
    const SweepPieces pieces = sweep_pieces<T>(s_.batch, s_.units, k_.parallel.threads());
    // Few rows are multiplied where they lie: a copy would be one more thing that threads wait for.
    in_place_ = pieces.rows == 0 && !is_masked(k_);
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
    // Where states are copied or masked, that is a phase of its own.
    const int64_t before = in_place_ ? 0 : 1, of_step = before + Cell::stages;
    run_in_phases(k_.parallel, s_.time * of_step, pieces.count(s_.units), [&](int64_t phase, int64_t piece) {
      const int64_t t = phase / of_step, stage = phase % of_step - before;
      const auto [from, to] = pieces.piece(piece, s_.units);
      if (stage < 0) {
        if (piece == 0 && t > 0) take_hidden(t, 0, s_.batch);
      } else if (stage + 1 == Cell::stages) {
        step<Cell::stages - 1>(t, 0, s_.batch, from, to);
      } else if (t < last) {
        step<0>(t, 0, s_.batch, from, to);
      }
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

  // h_{t-1} of rows side by side, and as the products take it.
  void take_hidden(int64_t t, int64_t begin, int64_t end) const {
    for (int64_t row = begin; row < end; ++row) {
      T* to = h_ + row * s_.units;
      if (t > 0) {
        std::copy_n(k_.out<T>(0) + (row * s_.time + t - 1) * s_.units, s_.units, to);
      } else {
        copy_state(k_.inputs[2], row, 0, s_.units, to);
      }
      if (operand_ == h_) continue;
      const T* mask = k_.in<T>(sweep_detail::mask_input<Cell>) + row * s_.units;
      for (int64_t j = 0; j < s_.units; ++j) operand_[row * s_.units + j] = to[j] * mask[j];
    }
  }

  // h_{t-1} from row `begin` on.
  MatrixView<T> hidden(int64_t t, int64_t begin) const {
    if (in_place_ && t > 0)
      return {k_.out<T>(0) + (begin * s_.time + t - 1) * s_.units, s_.time * s_.units, 1};
    return {h_ + begin * s_.units, s_.units, 1};
  }
  MatrixView<T> operand(int64_t t, int64_t begin) const {
    return operand_ == h_ ? hidden(t, begin) : MatrixView<T>{operand_ + begin * s_.units, s_.units, 1};
  }

  template <int stage>
  void step(int64_t t, int64_t begin, int64_t end, int64_t from, int64_t to) const {
    if (t < lengths_.longest(begin, end)) {
      int64_t at = 0;
      for (size_t i = 0; i < Cell::products.size(); ++i) {
        const StepProduct& p = Cell::products[i];
        if (Cell::stages == 1 || i == stage)
          multiply(i, packed_ ? packed_ + at : nullptr, t, begin, end, from, to);
        at += packed_count<T>(s_.units, p.gates * s_.units);
      }
    }
    for (int64_t row = begin; row < end; ++row) finish<stage>(t, row, from, to);
  }

  void multiply(size_t product, const T* packed, int64_t t, int64_t begin, int64_t end, int64_t from,
                int64_t to) const {
    const StepProduct& p = Cell::products[product];
    const MatrixView<T> left =
        p.of_middle ? MatrixView<T>{middle_ + begin * s_.units, s_.units, 1} : operand(t, begin);
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
        return multiply_sparse_tile(end - begin, left.data, left.row, *sparse, {start.data, start.row},
                                    result, Cell::slots * s_.units, k_.scratch.own(k_.parallel));
    const CodedMatrix* coded = kernel_ && !kernel_->coded.empty() ? kernel_->coded[product].get() : nullptr;
    const auto columns = [&](int64_t first, int64_t last) {
      if constexpr (std::is_same_v<T, float>) {
        if (sparse)
          return multiply_sparse_columns(end - begin, left.data, left.row, *sparse, first, last,
                                         {start.data, start.row}, result, Cell::slots * s_.units);
        if (coded)
          return multiply_coded_columns(end - begin, left.data, left.row, *coded, first, last,
                                        {start.data, start.row}, result, Cell::slots * s_.units,
                                        k_.scratch.own(k_.parallel));
      }
      multiply_packed<T>(end - begin, s_.units, first, last, left, packed, start, result,
                         Cell::slots * s_.units);
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
    const T* const h = hidden(t, row).data;
    // The backward pass needs it, too.
    T* const previous = k_.out<T>(k_.outputs.size() - 1);
    if (previous && stage + 1 == Cell::stages) std::copy(h + from, h + to, previous + at * s_.units + from);
    T* next = k_.out<T>(0) + at * s_.units;
    if (t >= lengths_(row)) {
      std::copy(h + from, h + to, next + from);
      if (Cell::has_cell && before != cell) std::copy(before + from, before + to, cell + from);
      for (int64_t slot = 0; Cell::keeps_slots && slot < Cell::slots; ++slot)
        std::fill(slots + slot * s_.units + from, slots + slot * s_.units + to, T(0));
      return;
    }
    cell_.template forward<stage>(ForwardUnits<T>{
        k_.in<T>(0) + at * s_.wide, z_ + row * Cell::slots * s_.units, h, operand(t, row).data, before, next,
        cell, slots, middle_ + row * s_.units,
        Cell::has_bias ? k_.in<T>(sweep_detail::recurrent_bias_input<Cell>) : nullptr, s_.units, from, to});
  }

  const KernelContext& k_;
  const SequenceSizes s_;
  const Cell cell_;
  const sweep_detail::RowLengths lengths_;
  const sweep_detail::PackedKernel* const kernel_;
  const T* packed_;
  bool in_place_ = false;
  T *z_, *h_, *operand_, *middle_, *cell_state_;
};

}  // namespace lariat
