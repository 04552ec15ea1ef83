#include "ops/kernels/axes.hpp"
#include "ops/kernels/product_kernel.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/recurrent/lstm_gates.hpp"

namespace lariat {

namespace lstm_sequence_gradient_detail {

std::vector<TensorType> infer(const InferContext& c) {
  const Shape& states = c.shape(3);
  const auto check = [&](size_t input, const char* name, const Shape& wanted) {
    if (c.shape(input) != wanted)
      c.fail(std::string(name) + " is " + text(c.shape(input)) + "; it must be " + text(wanted));
  };
  check_one_dtype(c);
  if (states.size() != 3) c.fail("takes cells [batch, time, units]; got " + text(states));
  check(0, "d_hidden", states);
  if (!c.shape(1).empty()) check(1, "d_cells", states);
  check(2, "recurrent_kernel", {states[2], states[2] * 4});
  check(4, "gates", {states[0], states[1], states[2] * 4});
  const Shape one_state{states[0], states[2]};
  if (broadcast(c.shape(5), one_state) != one_state)
    c.fail("initial_cell is " + text(c.shape(5)) + "; it must broadcast to " + text(one_state));
  return {c.in(4), {c.in(3).dtype, {states[0], states[2]}}, {c.in(3).dtype, {states[0], states[2]}}};
}

struct Sizes {
  int64_t batch, time, hidden, wide;
  explicit Sizes(std::span<const TensorView> inputs)
      : batch(inputs[3].extents[0]),
        time(inputs[3].extents[1]),
        hidden(inputs[3].extents[2]),
        wide(4 * hidden) {}
};

Workspace workspace(const KernelContext& k) {
  const Sizes s(k.inputs);
  const DType dtype = k.inputs[0].dtype;
  const int64_t packed =
      dtype == f32 ? packed_count<float>(s.wide, s.hidden) : packed_count<double>(s.wide, s.hidden);
  return {static_cast<size_t>(packed + s.batch * (s.wide + 2 * s.hidden)) * size_of(dtype), 0};
}

// From the last step to the first: dh_t = dh_t(given) + dz_{t+1}·Rᵀ and dc_t = dc_t(given) + dc_t(later),
// then the gates of one row at a time. What a step needs of all rows lies together, as in lstm_sequence.
template <class T>
class Backward {
 public:
  explicit Backward(const KernelContext& k)
      : k_(k),
        s_(k.inputs),
        packed_(reinterpret_cast<T*>(k.scratch.shared)),
        z_(packed_ + packed_count<T>(s_.wide, s_.hidden)),
        h_(z_ + s_.batch * s_.wide),
        c_(k.out<T>(2)),
        first_(h_ + s_.batch * s_.hidden) {}

  void run() const {
    std::fill_n(c_, s_.batch * s_.hidden, T(0));
    if (!k_.attributes.get<bool>("to_initial") || s_.time == 0)
      std::fill_n(k_.out<T>(1), s_.batch * s_.hidden, T(0));
    if (s_.batch == 0 || s_.time == 0) return;
    k_.parallel.run(s_.hidden, panel_columns<T>(), [&](int64_t begin, int64_t end) {
      pack_columns<T>({k_.in<T>(2), 1, s_.wide}, s_.wide, begin, end, packed_);
    });
    const LstmPieces pieces = lstm_pieces<T>(s_.batch, s_.hidden, k_.parallel.threads());
    if (pieces.rows > 0) {
      k_.parallel.run(s_.batch, pieces.rows, [&](int64_t begin, int64_t end) {
        for (int64_t t = s_.time - 1; t >= 0; --t) {
          pull(t, begin, end, 0, s_.hidden);
          deactivate(t, begin, end, 0, s_.hidden);
        }
        pull_initial(begin, end, 0, s_.hidden);
      });
      return;
    }
    for (int64_t t = s_.time - 1; t >= -1; --t) {
      // Units of one piece read dz of all: the two meet in between.
      k_.parallel.run(s_.hidden, pieces.units, [&](int64_t begin, int64_t end) {
        t >= 0 ? pull(t, 0, s_.batch, begin, end) : pull_initial(0, s_.batch, begin, end);
      });
      if (t >= 0)
        k_.parallel.run(s_.hidden, pieces.units,
                        [&](int64_t begin, int64_t end) { deactivate(t, 0, s_.batch, begin, end); });
    }
  }

 private:
  // dh_t of units [from, to).
  void pull(int64_t t, int64_t begin, int64_t end, int64_t from, int64_t to) const {
    const MatrixView<T> given{k_.in<T>(0) + (begin * s_.time + t) * s_.hidden, s_.time * s_.hidden, 1};
    if (t + 1 < s_.time) return multiply(begin, end, from, to, given, h_);
    for (int64_t row = begin; row < end; ++row)
      std::copy(given.at(row - begin, from).data, given.at(row - begin, to).data,
                h_ + row * s_.hidden + from);
  }

  void pull_initial(int64_t begin, int64_t end, int64_t from, int64_t to) const {
    if (k_.attributes.get<bool>("to_initial")) multiply(begin, end, from, to, {}, k_.out<T>(1));
  }

  void multiply(int64_t begin, int64_t end, int64_t from, int64_t to, MatrixView<T> start, T* result) const {
    multiply_packed<T>(end - begin, s_.wide, from, to, {z_ + begin * s_.wide, s_.wide, 1}, packed_, start,
                       result + begin * s_.hidden, s_.hidden);
  }

  void deactivate(int64_t t, int64_t begin, int64_t end, int64_t from, int64_t to) const {
    const bool cells_given = k_.inputs[1].rank() > 0;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t at = row * s_.time + t;
      const T* cell = k_.in<T>(3) + at * s_.hidden;
      T *d_cell = c_ + row * s_.hidden, *d_z = z_ + row * s_.wide, *first = first_ + row * s_.hidden;
      const T* given = k_.in<T>(1) + (cells_given ? at * s_.hidden : 0);
      if (cells_given || *given != T(0))
        for (int64_t j = from; j < to; ++j) d_cell[j] += given[cells_given ? j : 0];
      if (t == 0) copy_state(k_.inputs[5], row, from, to, first);
      lstm_backward_row<T>(k_.in<T>(4) + at * s_.wide, t > 0 ? cell - s_.hidden : first, cell,
                           h_ + row * s_.hidden, d_cell, d_z, s_.hidden, from, to);
      for (int gate = 0; gate < 4; ++gate)
        std::copy(d_z + gate * s_.hidden + from, d_z + gate * s_.hidden + to,
                  k_.out<T>(0) + at * s_.wide + gate * s_.hidden + from);
    }
  }

  const KernelContext& k_;
  const Sizes s_;
  T *packed_, *z_, *h_, *c_, *first_;
};

template <class T>
void backward(const KernelContext& k) {
  Backward<T>(k).run();
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
  const double steps = static_cast<double>(inputs[3].extents[0] * inputs[3].extents[1]);
  const double hidden = static_cast<double>(inputs[3].extents[2]);
  return {.flops = steps * (8 * hidden * hidden + 80 * hidden),
          .bytes = 3.0 * static_cast<double>(outputs[0].bytes())};
}

}  // namespace lstm_sequence_gradient_detail

// The backward sweep of lstm_sequence. Its own gradient is not offered: lstm_cell has one.
OpDef records::lstm_sequence_gradient() {
  using namespace lstm_sequence_gradient_detail;
  OpDef def{
      .name = "lstm_sequence_gradient",
      .doc = "The adjoints of lstm_sequence's projected inputs and initial states; made by its gradient.",
      .inputs = {{"d_hidden", "[batch, time, units]"},
                 {"d_cells", "[batch, time, units], or a scalar"},
                 {"recurrent_kernel", "[units, 4·units]"},
                 {"cells", "[batch, time, units]"},
                 {"gates", "[batch, time, 4·units]"},
                 {"initial_cell", "broadcast to [batch, units]"}},
      .outputs = {{"d_projected", "[batch, time, 4·units]"},
                  {"d_initial_hidden", "[batch, units]; zeros unless asked for"},
                  {"d_initial_cell", "[batch, units]"}}};
  def.attributes = {
      {"to_initial", AttributeKind::boolean, "whether d_initial_hidden is wanted", Attribute(true)}};
  def.traits.second_order = false;
  def.traits.in_place = {{0, 4}};
  def.infer = infer;
  def.kernel = {backward<float>, backward<double>, nullptr};
  def.workspace = workspace;
  def.cost = cost;
  // One step, one unit: dc' = dh·o·(1 - tanh²c'); with c' = 0, i = f = o = 0.5, g = 0: dz = (0, 0, dh/4, 0).
  def.samples = {{"one step",
                  {{{1, 1, 1}, {2}},
                   {{}, {0}},
                   {{1, 4}, {0, 0, 0, 0}},
                   {{1, 1, 1}, {0}},
                   {{1, 1, 4}, {0.5, 0.5, 0, 0.5}},
                   {{}, {0}}},
                  {},
                  {0, 0, 0.5, 0}}};
  def.rejects = {{{{f32, {1, 1, 2}}, {f32, {}}, {f32, {2, 8}}, {f32, {1, 1, 1}}, {f32, {1, 1, 8}}, {f32, {}}},
                  {},
                  "d_hidden is [1, 1, 2]; it must be [1, 1, 1]"}};
  return def;
}

}  // namespace lariat
