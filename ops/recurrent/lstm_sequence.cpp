#include <fmt/format.h>

#include "graph/base/error.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/kernels/product_kernel.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/recurrent/lstm_gates.hpp"

namespace lariat {

namespace lstm_sequence_detail {

std::vector<TensorType> infer(const InferContext& c) {
  const Shape &projected = c.shape(0), &recurrent = c.shape(1);
  check_one_dtype(c);
  if (projected.size() != 3) c.fail("takes projected inputs [batch, time, 4·units]; got " + text(projected));
  if (recurrent.size() != 2 || !(recurrent[0] * 4 == recurrent[1]))
    c.fail("recurrent_kernel is " + text(recurrent) + "; it must be [units, 4·units]");
  if (!(projected[2] == recurrent[1]))
    c.fail("projected is " + text(projected) + " and recurrent_kernel " + text(recurrent) +
           "; their last dimensions must be equal");
  const Shape one_state{projected[0], recurrent[0]};
  for (size_t i : {2, 3})
    if (broadcast(c.shape(i), one_state) != one_state)
      c.fail(fmt::format("{} is {}; it must broadcast to {}", i == 2 ? "initial_hidden" : "initial_cell",
                         text(c.shape(i)), text(one_state)));
  const TensorType states{c.in(0).dtype, {projected[0], projected[1], recurrent[0]}};
  return {states, states, c.in(0), states};
}

struct Sizes {
  int64_t batch, time, hidden, wide;
  explicit Sizes(std::span<const TensorView> inputs)
      : batch(inputs[0].extents[0]),
        time(inputs[0].extents[1]),
        hidden(inputs[1].extents[0]),
        wide(4 * hidden) {}
};

int64_t packed_elements(const KernelContext& k) {
  const Sizes s(k.inputs);
  return k.inputs[0].dtype == f32 ? packed_count<float>(s.hidden, s.wide)
                                  : packed_count<double>(s.hidden, s.wide);
}

Workspace workspace(const KernelContext& k) {
  const Sizes s(k.inputs);
  const int64_t packed = k.packed ? 0 : packed_elements(k);
  return {static_cast<size_t>(packed + s.batch * (s.wide + s.hidden)) * size_of(k.inputs[0].dtype), 0};
}

template <class T>
void pack_recurrent(const KernelContext& k, T* packed) {
  const Sizes s(k.inputs);
  const MatrixView<T> recurrent{k.in<T>(1), s.wide, 1};
  k.parallel.run(s.wide, 4 * panel_columns<T>(), [&](int64_t begin, int64_t end) {
    pack_columns<T>(recurrent, s.hidden, begin, end, packed);
  });
}

// z_t = projected_t + h_{t-1}·R; the gates then as in lstm_gates. z_t and h_{t-1} of all rows lie together:
// the rows of a step are far apart in the outputs.
template <class T>
class Forward {
 public:
  explicit Forward(const KernelContext& k)
      : k_(k),
        s_(k.inputs),
        packed_(static_cast<const T*>(k.packed)),
        z_(reinterpret_cast<T*>(k.scratch.shared) + (packed_ ? 0 : packed_elements(k))),
        h_(z_ + s_.batch * s_.wide),
        forget_bias_(static_cast<T>(k.attributes.get<double>("forget_bias"))) {}

  void run() {
    if (s_.batch == 0 || s_.time == 0) return;
    if (!packed_) {
      T* packed = reinterpret_cast<T*>(k_.scratch.shared);
      pack_recurrent(k_, packed);
      packed_ = packed;
    }
    const LstmPieces pieces = lstm_pieces<T>(s_.batch, s_.hidden, k_.parallel.threads());
    if (pieces.rows > 0) {
      k_.parallel.run(s_.batch, pieces.rows, [&](int64_t begin, int64_t end) {
        for (int64_t t = 0; t < s_.time; ++t) {
          take_hidden(t, begin, end);
          project(t, begin, end, 0, s_.wide);
          activate(t, begin, end, 0, s_.hidden);
        }
      });
      return;
    }
    for (int64_t t = 0; t < s_.time; ++t) {
      take_hidden(t, 0, s_.batch);
      k_.parallel.run(s_.hidden, pieces.units, [&](int64_t begin, int64_t end) {
        for (int gate = 0; gate < 4; ++gate)
          project(t, 0, s_.batch, gate * s_.hidden + begin, gate * s_.hidden + end);
        activate(t, 0, s_.batch, begin, end);
      });
    }
  }

 private:
  // h_{t-1} of rows, which the backward pass needs too.
  void take_hidden(int64_t t, int64_t begin, int64_t end) const {
    for (int64_t row = begin; row < end; ++row) {
      T* to = h_ + row * s_.hidden;
      if (t > 0) {
        std::copy_n(k_.out<T>(0) + (row * s_.time + t - 1) * s_.hidden, s_.hidden, to);
      } else {
        copy_state(k_.inputs[2], row, 0, s_.hidden, to);
      }
      std::copy_n(to, s_.hidden, k_.out<T>(3) + (row * s_.time + t) * s_.hidden);
    }
  }

  void project(int64_t t, int64_t begin, int64_t end, int64_t from, int64_t to) const {
    const MatrixView<T> projected{k_.in<T>(0) + (begin * s_.time + t) * s_.wide, s_.time * s_.wide, 1};
    multiply_packed<T>(end - begin, s_.hidden, from, to, {h_ + begin * s_.hidden, s_.hidden, 1}, packed_,
                       projected, z_ + begin * s_.wide, s_.wide);
  }

  void activate(int64_t t, int64_t begin, int64_t end, int64_t from, int64_t to) const {
    // The first cells are put where the row's own will be.
    for (int64_t row = begin; row < end; ++row) {
      const int64_t at = row * s_.time + t;
      T* cell = k_.out<T>(1) + at * s_.hidden;
      if (t == 0) copy_state(k_.inputs[3], row, from, to, cell);
      lstm_forward_row<T>(z_ + row * s_.wide, k_.out<T>(2) + at * s_.wide, t > 0 ? cell - s_.hidden : cell,
                          cell, k_.out<T>(0) + at * s_.hidden, s_.hidden, from, to, forget_bias_);
    }
  }

  const KernelContext& k_;
  const Sizes s_;
  const T* packed_;
  T *z_, *h_;
  T forget_bias_;
};

template <class T>
std::shared_ptr<const void> packed_recurrent(const KernelContext& k) {
  const Sizes s(k.inputs);
  auto packed = allocate_bytes(static_cast<size_t>(packed_count<T>(s.hidden, s.wide)) * sizeof(T));
  pack_recurrent(k, reinterpret_cast<T*>(packed.get()));
  return packed;
}

std::shared_ptr<const void> pack(const KernelContext& k) {
  if (!k.inputs[1].data) return {};
  return k.inputs[1].dtype == f32 ? packed_recurrent<float>(k) : packed_recurrent<double>(k);
}

template <class T>
void forward(const KernelContext& k) {
  Forward<T>(k).run();
}

// dR = Σ_t h_{t-1}ᵀ·dz_t as one product over all steps of the batch.
Adjoints vjp(const GradContext& g) {
  if (g.has_adjoint(2) || g.has_adjoint(3))
    throw UserError("the gradient of lstm_sequence passes through its hidden states and cells only");
  const Value recurrent = g.in(1), cells = g.out(1);
  const Value d_cells = g.has_adjoint(1) ? g.adjoint(1) : cells.graph().constant(0, cells.dtype());
  const Value d_z =
      build("lstm_sequence_gradient", {g.adjoint(0), d_cells, recurrent, cells, g.out(2), g.in(3)},
            {{"to_initial", g.needs(2) || g.needs(3)}});
  Value d_recurrent;
  if (g.needs(1)) {
    const Dim units = g.out(0).shape()[2];
    d_recurrent = matmul(transpose(reshape(g.out(3), {-1, units})), reshape(d_z, {-1, units * 4}));
  }
  return {d_z, d_recurrent, output_of(d_z, 1), output_of(d_z, 2)};
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
  const double steps = static_cast<double>(outputs[0].extents[0] * outputs[0].extents[1]);
  const double hidden = static_cast<double>(outputs[0].extents[2]);
  return {.flops = steps * (8 * hidden * hidden + 80 * hidden),
          .bytes = 2.75 * static_cast<double>(inputs[0].bytes())};
}

}  // namespace lstm_sequence_detail

OpDef records::lstm_sequence() {
  using namespace lstm_sequence_detail;
  OpDef def{.name = "lstm_sequence",
            .doc = "The recurrent part of a long short-term memory layer over a whole sequence.",
            .inputs = {{"projected", "[batch, time, 4·units], x·W + b of every step"},
                       {"recurrent_kernel",
                        "[units, 4·units], gates side by side: input, forget, candidate, output"},
                       {"initial_hidden", "broadcast to [batch, units]"},
                       {"initial_cell", "broadcast to [batch, units]"}},
            .outputs = {{"hidden", "[batch, time, units]"},
                        {"cells", "[batch, time, units]"},
                        {"gates", "[batch, time, 4·units], activated"},
                        {"previous", "[batch, time, units], the hidden state before each step"}}};
  def.attributes = {{"forget_bias", AttributeKind::real, "added to the forget gate before its sigmoid",
                     Attribute(0.0), -100, 100}};
  def.traits.second_order = false;
  def.traits.saved_outputs = 1;
  def.traits.in_place = {{2, 0}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = workspace;
  def.pack = pack;
  def.vjp = vjp;
  def.cost = cost;
  // R = 0 and z = 0: i = f = o = 0.5, g = 0, so c_t = c_0/2^t and h_t = tanh(c_t)/2.
  def.samples = {{"zero inputs",
                  {{{1, 2, 4}, {0, 0, 0, 0, 0, 0, 0, 0}}, {{1, 4}, {0, 0, 0, 0}}, {{}}, {{}, {0}}},
                  {},
                  {0, 0}},
                 {"from a cell",
                  {{{1, 2, 4}, {0, 0, 0, 0, 0, 0, 0, 0}}, {{1, 4}, {0, 0, 0, 0}}, {{1}}, {{1, 1}, {1}}},
                  {},
                  {0.23105857863000487, 0.12245933120185457}},
                 {"batch of 3", {{{3, 4, 8}}, {{2, 8}}, {{}, {0}}, {{}, {0}}}, {{"forget_bias", 1.0}}},
                 {"initial states", {{{3, 2, 8}}, {{2, 8}}, {{3, 2}}, {{2}}}},
                 {"many rows", {{{18, 2, 4}}, {{1, 4}}, {{18, 1}}, {{}}}},
                 {"one step", {{{2, 1, 12}}, {{3, 12}}, {{1, 3}}, {{2, 3}}}},
                 {"no steps", {{{2, 0, 4}}, {{1, 4}}, {{}}, {{}}}}};
  def.rejects = {{{{f32, {2, 5, 12}}, {f32, {3, 8}}, {f32, {}}, {f32, {}}},
                  {},
                  "recurrent_kernel is [3, 8]; it must be [units, 4·units]"},
                 {{{f32, {2, 12}}, {f32, {3, 12}}, {f32, {}}, {f32, {}}},
                  {},
                  "takes projected inputs [batch, time, 4·units]; got [2, 12]"},
                 {{{f32, {2, 5, 8}}, {f32, {3, 12}}, {f32, {}}, {f32, {}}},
                  {},
                  "projected is [2, 5, 8] and recurrent_kernel [3, 12]; their last dimensions must be equal"},
                 {{{f32, {2, 5, 12}}, {f32, {3, 12}}, {f32, {3}}, {f32, {3, 3}}},
                  {},
                  "initial_cell is [3, 3]; it must broadcast to [2, 3]"}};
  return def;
}

Value lstm(Operand x, Operand input_kernel, Operand recurrent_kernel, Operand bias, double forget_bias) {
  const Value projected = matmul(x, input_kernel) + bias;
  return lstm_sequence(projected, recurrent_kernel, 0, 0, forget_bias);
}

Value lstm_sequence(Operand projected, Operand recurrent_kernel, Operand initial_hidden, Operand initial_cell,
                    double forget_bias) {
  using namespace lstm_sequence_detail;
  return build("lstm_sequence", {projected, recurrent_kernel, initial_hidden, initial_cell},
               {{"forget_bias", forget_bias}});
}

}  // namespace lariat
