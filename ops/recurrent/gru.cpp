#include "graph/base/error.hpp"
#include "ops/kernels/gemm.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/recurrent/cell_products.hpp"
#include "ops/recurrent/sweep.hpp"
#include "ops/recurrent/units.hpp"

namespace lariat {

namespace gru_detail {

const CellShape& shape() {
  static const CellShape cell{.name = "gru",
                              .doc = "a gated recurrent unit layer",
                              .gates_doc = "update, reset, candidate",
                              .gates = 3,
                              .kept = 4,
                              .kept_doc = "activated, and the candidate's recurrent part or r·h",
                              .bias = "candidate_bias"};
  return cell;
}

// Update gate z, reset gate r, candidate c, side by side; x·W + b is projected:
//   z, r = σ(x·W + b + h·R);  h' = z·h + (1 - z)·c
//   c = tanh(x·W + b + r·m), m = h·R + b'  after the product (Keras 2 and 3, cuDNN), or
//   c = tanh(x·W + b + m·R + b'), m = r·h  before it (Cho et al. 2014)
template <class T, bool after>
struct GruCell {
  using Number = T;
  using Batch = xsimd::batch<T>;
  static constexpr int64_t gates = 3, slots = 4;
  static constexpr bool has_cell = false, has_bias = true, keeps_slots = true, carries = true;
  static constexpr bool projects = true;
  static constexpr std::array products{
      StepProduct{.gates = 2},
      StepProduct{.gate = 2, .slot = after ? 3 : 2, .from_bias = after, .of_middle = !after}};
  static constexpr int stages = after ? 1 : 2;
  static constexpr GradientInputs gradient{.kernel = 1, .slots = 2, .previous = 3, .lengths = 4};

  explicit GruCell(const Attributes&) {}

  template <int stage>
  void forward(const ForwardUnits<T>& u) const {
    const int64_t n = u.units;
    over_units<T>(u.begin, u.end, [&](auto load, auto store) {
      if constexpr (!after && stage == 0) {
        const Batch reset = sigmoid_of(load(u.z + n)), kept = reset * load(u.operand);
        store(sigmoid_of(load(u.z)), u.slots);
        store(reset, u.slots + n);
        store(kept, u.slots + 3 * n);
        store(kept, u.middle);
      } else {
        Batch update, candidate;
        if constexpr (after) {
          update = sigmoid_of(load(u.z));
          const Batch reset = sigmoid_of(load(u.z + n)), recurrent = load(u.z + 3 * n);
          candidate = tanh_of(load(u.projected + 2 * n) + reset * recurrent);
          store(update, u.slots);
          store(reset, u.slots + n);
          store(recurrent, u.slots + 3 * n);
        } else {
          update = load(u.slots);
          candidate = tanh_of(load(u.z + 2 * n) + load(u.bias));
        }
        store(candidate, u.slots + 2 * n);
        store(update * load(u.hidden) + (Batch(1) - update) * candidate, u.next_hidden);
      }
    });
  }

  template <int stage>
  void backward(const BackwardUnits<T>& u) const {
    const int64_t n = u.units;
    const auto put = [&](auto store, Batch value, int64_t gate) {
      store(value, u.d_z + gate * n);
      store(value, u.d_projected + gate * n);
    };
    over_units<T>(u.begin, u.end, [&](auto load, auto store) {
      const Batch reset = load(u.slots + n), one(1);
      if constexpr (!after && stage == 0) {
        const Batch d_kept = u.mask ? load(u.middle) * load(u.mask) : load(u.middle);
        put(store, d_kept * load(u.previous) * reset * (one - reset), 1);
        store(load(u.carry) + d_kept * reset, u.carry);
        return;
      }
      const Batch update = load(u.slots), candidate = load(u.slots + 2 * n), d_h = load(u.d_hidden);
      const Batch d_candidate = d_h * (one - update) * (one - candidate * candidate);
      put(store, d_h * (load(u.previous) - candidate) * update * (one - update), 0);
      store(d_candidate, u.d_projected + 2 * n);
      store(after ? d_candidate * reset : d_candidate, u.d_z + 2 * n);
      if constexpr (after) put(store, d_candidate * load(u.slots + 3 * n) * reset * (one - reset), 1);
      store(d_h * update, u.carry);
    });
  }
};

struct GruCells {
  template <class T, class Body>
  static auto with(const Attributes& attributes, const Body& body) {
    return attributes.get<bool>("reset_after") ? body(std::type_identity<GruCell<T, true>>())
                                               : body(std::type_identity<GruCell<T, false>>());
  }
};

// Inputs of the cell's op.
enum : size_t { x_input, hidden_input, kernel_input, recurrent_input, bias_input, candidate_bias_input };

struct Products {
  Product input, gates, candidate;
  explicit Products(const KernelContext& k) {
    const int64_t batch = k.inputs[x_input].extents[0], inputs = k.inputs[x_input].extents[1],
                  units = k.inputs[hidden_input].extents[1];
    input = {false, false, batch, 3 * units, inputs, inputs, 3 * units};
    gates = {false, false, batch, 2 * units, units, units, 3 * units};
    const bool after = k.attributes.get<bool>("reset_after");
    candidate = {false, false, batch, units, units, after ? units : 4 * units, 3 * units};
  }
};

Workspace workspace(const KernelContext& k) {
  const Products products(k);
  return workspace_of(k, {products.input, products.gates, products.candidate});
}

// All within the rows of `gates`, which are four units wide.
template <class T>
void step(const KernelContext& k) {
  const int64_t batch = k.inputs[x_input].extents[0], units = k.inputs[hidden_input].extents[1],
                row = 4 * units;
  const Products products(k);
  T* gates = k.out<T>(1);
  const T *hidden = k.in<T>(hidden_input), *recurrent = k.in<T>(recurrent_input);
  gemm<T>(k.parallel, products.input, k.in<T>(x_input), k.in<T>(kernel_input), {k.in<T>(bias_input), 0},
          gates, row, k.scratch);
  gemm<T>(k.parallel, products.gates, hidden, recurrent, {gates, row}, gates, row, k.scratch);
  const auto units_of = [&](auto run) {
    k.parallel.run(batch, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        T* own = gates + i * row;
        run(ForwardUnits<T>{own, own, hidden + i * units, hidden + i * units, nullptr,
                            k.out<T>(0) + i * units, nullptr, own, own + 3 * units,
                            k.in<T>(candidate_bias_input), units, 0, units});
      }
    });
  };
  GruCells::with<T>(k.attributes, [&](auto type) {
    using Cell = typename decltype(type)::type;
    const Cell cell(k.attributes);
    if constexpr (Cell::stages == 2) {
      units_of([&](const ForwardUnits<T>& u) { cell.template forward<0>(u); });
      gemm<T>(k.parallel, products.candidate, gates + 3 * units, recurrent + 2 * units,
              {gates + 2 * units, row}, gates + 2 * units, row, k.scratch);
    } else {
      gemm<T>(k.parallel, products.candidate, hidden, recurrent + 2 * units,
              {k.in<T>(candidate_bias_input), 0}, gates + 3 * units, row, k.scratch);
    }
    units_of([&](const ForwardUnits<T>& u) { cell.template forward<Cell::stages - 1>(u); });
  });
}

// dc = dh'·(1 - z), dz = dh'·(h - c), and the reset gate's as the formulas above have it; what reads a gate
// itself is added.
Adjoints step_vjp(const GradContext& g) {
  const Value x = g.in(x_input), h = g.in(hidden_input), recurrent = g.in(recurrent_input), kept = g.out(1);
  const bool after = g.attributes().get<bool>("reset_after");
  const int64_t n = h.shape()[1].size();
  const auto part = [&](Value of, int64_t first, int64_t last) { return slice(of, 1, first * n, last * n); };
  const auto with_own = [&](Value adjoint, int64_t slot) {
    return g.has_adjoint(1) ? adjoint + part(g.adjoint(1), slot, slot + 1) : adjoint;
  };
  const Value z = part(kept, 0, 1), r = part(kept, 1, 2), c = part(kept, 2, 3), m = part(kept, 3, 4);
  const Value d_h = g.adjoint(0);
  const Value d_update = with_own(d_h * (h - c), 0) * z * (1 - z);
  const Value d_candidate = with_own(d_h * (1 - z), 2) * (1 - square(c));
  const Value d_m =
      with_own(after ? d_candidate * r : matmul(d_candidate, transpose(part(recurrent, 2, 3))), 3);
  const Value d_r = with_own(after ? d_candidate * m : d_m * h, 1) * r * (1 - r);
  const Value d_gates = concat({d_update, d_r}, 1), d_projected = concat({d_update, d_r, d_candidate}, 1);
  Value d_hidden, d_recurrent;
  if (after) {
    const Value d_z = concat({d_update, d_r, d_m}, 1);
    d_hidden = d_h * z + matmul(d_z, transpose(recurrent));
    d_recurrent = matmul(transpose(h), d_z);
  } else {
    d_hidden = d_h * z + d_m * r + matmul(d_gates, transpose(part(recurrent, 0, 2)));
    d_recurrent = concat({matmul(transpose(h), d_gates), matmul(transpose(m), d_candidate)}, 1);
  }
  return {matmul(d_projected, transpose(g.in(kernel_input))),
          d_hidden,
          matmul(transpose(x), d_projected),
          d_recurrent,
          sum(d_projected, {0}),
          sum(after ? d_m : d_candidate, {0})};
}

std::vector<Value> sequence(const RecurrentChain& chain) {
  const Operand projected(projected_steps(chain), chain.where);
  return {gru_sequence(projected, chain.shared[1], chain.initial[0], chain.shared[3],
                       chain.attributes.get<bool>("reset_after"))
              .named(chain.name)};
}

Adjoints sequence_vjp(const GradContext& g) {
  if (g.has_adjoint(1) || g.has_adjoint(2))
    throw UserError("the gradient of gru_sequence passes through its hidden states only");
  const Value recurrent = g.in(1), mask = g.in(4), kept = g.out(1), previous = g.out(2);
  const bool after = g.attributes().get<bool>("reset_after");
  const Value d_projected =
      build("gru_sequence_gradient", {g.adjoint(0), recurrent, kept, previous, g.in(3), mask},
            {{"to_initial", g.needs(2)}, {"reset_after", after}});
  const int64_t n = recurrent.shape()[0].size();
  const auto part = [&](Value of, int64_t first, int64_t last) { return slice(of, -1, first * n, last * n); };
  const Value d_gates = part(d_projected, 0, 2), d_candidate = part(d_projected, 2, 3),
              reset = part(kept, 1, 2), operand = masked_states(previous, mask);
  Value d_recurrent, d_mask, d_product = d_candidate;
  if (after) {
    d_product = d_candidate * reset;
    const Value d_z = concat({d_gates, d_product}, 2);
    if (g.needs(1)) d_recurrent = recurrent_kernel_gradient(operand, d_z);
    if (g.needs(4)) d_mask = recurrent_mask_gradient(mask, previous, d_z, recurrent);
  } else {
    if (g.needs(1))
      d_recurrent = concat({recurrent_kernel_gradient(operand, d_gates),
                            recurrent_kernel_gradient(part(kept, 3, 4), d_candidate)},
                           1);
    if (g.needs(4) && mask.rank() > 0)
      d_mask = recurrent_mask_gradient(mask, previous, d_gates, part(recurrent, 0, 2)) +
               recurrent_mask_gradient(mask, previous * reset, d_candidate, part(recurrent, 2, 3));
  }
  return {d_projected, d_recurrent, output_of(d_projected, 1), Value(), d_mask, sum(d_product, {0, 1})};
}

const AttributeSpec& reset_after() {
  static const AttributeSpec spec{"reset_after", AttributeKind::boolean,
                                  "whether the reset gate is applied after the recurrent product, as Keras "
                                  "and cuDNN do, or before it",
                                  Attribute(true)};
  return spec;
}

Attributes after(bool value) { return {{"reset_after", value}}; }

const SampleInput whole_sequences{.extents = {}, .values = {0}, .dtype = i32};
const SampleInput unmasked{.extents = {}, .values = {1}};

}  // namespace gru_detail

OpDef records::gru_cell() {
  using namespace gru_detail;
  OpDef def = cell_record(shape());
  def.attributes = {reset_after()};
  def.infer = [](const InferContext& c) { return infer_cell(c, shape()); };
  def.kernel = {step<float>, step<double>, nullptr};
  def.workspace = workspace;
  def.vjp = step_vjp;
  def.recurrence = {.step_input = 0, .state_inputs = {1}, .sequence = sequence, .steps_of = steps_of};
  // All weights 0: z = 0.5 and c = 0, so h' = h/2.
  def.samples = {{"zero weights",
                  {{{1, 2}, {1, 1}},
                   {{1, 1}, {3}},
                   {{2, 3}, {0, 0, 0, 0, 0, 0}},
                   {{1, 3}, {0, 0, 0}},
                   {{3}, {0, 0, 0}},
                   {{1}, {0}}},
                  {},
                  {1.5}},
                 {"reset after", {{{3, 2}}, {{3, 4}}, {{2, 12}}, {{4, 12}}, {{12}}, {{4}}}},
                 {"reset before", {{{3, 2}}, {{3, 4}}, {{2, 12}}, {{4, 12}}, {{12}}, {{4}}}, after(false)},
                 {"empty batch", {{{0, 2}}, {{0, 3}}, {{2, 9}}, {{3, 9}}, {{9}}, {{3}}}}};
  def.rejects = {{{{f32, {2, 3}}, {f32, {2, 4}}, {f32, {3, 8}}, {f32, {4, 12}}, {f32, {12}}, {f32, {4}}},
                  {},
                  "input_kernel is [3, 8]; it must be [3, 12]"},
                 {{{f32, {2, 3}}, {f32, {2, 4}}, {f32, {3, 12}}, {f32, {4, 12}}, {f32, {12}}, {f32, {12}}},
                  {},
                  "candidate_bias is [12]; it must be [4]"}};
  return def;
}

OpDef records::gru_sequence() {
  using namespace gru_detail;
  OpDef def = sequence_record(shape());
  def.attributes = {reset_after()};
  def.infer = [](const InferContext& c) { return infer_sequence(c, shape()); };
  SweepKernels<GruCells>::put_forward(def);
  def.vjp = sequence_vjp;
  def.cost = [](std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
    const double steps = static_cast<double>(outputs[0].extents[0] * outputs[0].extents[1]);
    return sequence_cost(steps, static_cast<double>(outputs[0].extents[2]), 3,
                         3.0 * static_cast<double>(inputs[0].bytes()));
  };
  const std::vector<double> three(3), six(6);
  const SampleInput lengths{.extents = {3}, .values = {2, 0, 3}, .dtype = i32};
  // R = 0 and z = 0: the state halves at each step.
  def.samples = {
      {"zero inputs",
       {{{1, 2, 3}, six}, {{1, 3}, three}, {{}, {4}}, whole_sequences, unmasked, {{1}, {0}}},
       {},
       {2, 1}},
      {"reset after", {{{3, 4, 6}}, {{2, 6}}, {{3, 2}}, whole_sequences, unmasked, {{2}}}},
      {"reset before", {{{3, 4, 6}}, {{2, 6}}, {{2}}, whole_sequences, unmasked, {{2}}}, after(false)},
      {"of different lengths", {{{3, 3, 6}}, {{2, 6}}, {{3, 2}}, lengths, unmasked, {{2}}}},
      {"of different lengths, reset before",
       {{{3, 3, 6}}, {{2, 6}}, {{3, 2}}, lengths, unmasked, {{2}}},
       after(false)},
      {"masked", {{{3, 3, 6}}, {{2, 6}}, {{3, 2}}, whole_sequences, {{3, 2}}, {{2}}}},
      {"masked, reset before",
       {{{3, 3, 6}}, {{2, 6}}, {{3, 2}}, whole_sequences, {{3, 2}}, {{2}}},
       after(false)},
      {"no steps", {{{2, 0, 3}}, {{1, 3}}, {{}}, whole_sequences, unmasked, {{1}}}}};
  const TensorType scalar{f32, {}}, all{i32, {}};
  def.rejects = {{{{f32, {2, 5, 9}}, {f32, {3, 8}}, scalar, all, scalar, {f32, {3}}},
                  {},
                  "recurrent_kernel is [3, 8]; it must be [units, 3·units]"},
                 {{{f32, {2, 5, 9}}, {f32, {3, 9}}, {f32, {3, 3}}, all, scalar, {f32, {3}}},
                  {},
                  "initial_hidden is [3, 3]; it must broadcast to [2, 3]"}};
  return def;
}

// Its own gradient is not offered: gru_cell has one.
OpDef records::gru_sequence_gradient() {
  using namespace gru_detail;
  constexpr GradientInputs inputs = GruCell<float, true>::gradient;
  OpDef def = sequence_gradient_record(shape(), inputs);
  def.attributes.push_back(reset_after());
  def.infer = [](const InferContext& c) {
    return infer_sequence_gradient(c, shape(), GruCell<float, true>::gradient);
  };
  SweepKernels<GruCells>::put_backward(def);
  def.cost = [](std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
    const double steps = static_cast<double>(inputs[0].extents[0] * inputs[0].extents[1]);
    return sequence_cost(steps, static_cast<double>(inputs[0].extents[2]), 3,
                         4.0 * static_cast<double>(outputs[0].bytes()));
  };
  // One step, one unit, z = r = 0.5, c = 0, h = 0: dc = dh/2.
  def.samples = {{"one step",
                  {{{1, 1, 1}, {2}},
                   {{1, 3}, {0, 0, 0}},
                   {{1, 1, 4}, {0.5, 0.5, 0, 0}},
                   {{1, 1, 1}, {0}},
                   whole_sequences,
                   unmasked},
                  {},
                  {0, 0, 1}}};
  def.rejects = {{{{f32, {1, 1, 2}}, {f32, {1, 3}}, {f32, {1, 1, 4}}, {f32, {1, 1, 1}}, {i32, {}}, {f32, {}}},
                  {},
                  "d_hidden is [1, 1, 2]; it must be [1, 1, 1]"}};
  return def;
}

Value gru_cell(Operand x, Operand hidden, Operand input_kernel, Operand recurrent_kernel, Operand bias,
               Operand candidate_bias, bool reset_after) {
  return build("gru_cell", {x, hidden, input_kernel, recurrent_kernel, bias, candidate_bias},
               {{"reset_after", reset_after}});
}

Value gru_sequence(Operand projected, Operand recurrent_kernel, Operand initial_hidden,
                   Operand candidate_bias, bool reset_after, Value lengths, Value recurrent_mask) {
  return build_sequence(gru_detail::shape(), {projected, recurrent_kernel, initial_hidden, candidate_bias},
                        lengths, recurrent_mask, {{"reset_after", reset_after}});
}

}  // namespace lariat
