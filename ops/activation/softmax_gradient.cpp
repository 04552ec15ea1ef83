#include "ops/kernels/rows.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace softmax_gradient_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_one_dtype(c);
  check_float(c, 0, "probabilities");
  if (c.shape(0) != c.shape(1) || c.shape(0).empty())
    c.fail("probabilities are " + text(c.shape(0)) + " and adjoint " + text(c.shape(1)) +
           "; they must be equal, and not scalars");
  return {c.in(0)};
}

// dx = y·(d - Σ d·y)
template <class T>
void forward(const KernelContext& k) {
  const int64_t width = k.inputs[0].extent(-1);
  for_each_row(k, [&](int64_t row) {
    const T *y = k.in<T>(0) + row * width, *d = k.in<T>(1) + row * width;
    T* dx = k.out<T>(0) + row * width;
    const T through = static_cast<T>(row_product(y, d, width));
    // dx may be y or d itself.
    LARIAT_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) dx[j] = y[j] * (d[j] - through);
  });
}

// With R the adjoint: dy = R·(d - Σ d·y) - d·Σ R·y, dd = y·(R - Σ R·y)
Adjoints vjp(const GradContext& g) {
  const Value y = g.in(0), d = g.in(1), adjoint = g.adjoint(0);
  const auto product = [&](Value a) { return sum(a * y, {-1}, true); };
  return {g.needs(0) ? adjoint * (d - product(d)) - d * product(adjoint) : Value(),
          g.needs(1) ? build("softmax_gradient", {y, adjoint}) : Value()};
}

}  // namespace softmax_gradient_detail

OpDef records::softmax_gradient() {
  using namespace softmax_gradient_detail;
  OpDef def{.name = "softmax_gradient",
            .doc = "The adjoint of softmax's input from that of its result.",
            .inputs = {{"probabilities", "f32 or f64 [..., classes], softmax's result"},
                       {"adjoint", "like probabilities"}},
            .outputs = {{"input_adjoint", "like probabilities"}}};
  def.traits.linear = {false, true};
  def.traits.in_place = {{0, 0}, {0, 1}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = streaming_cost<4>;
  def.samples = {{"one row", {{{2}, {0.25, 0.75}}, {{2}, {4, -4}}}, {}, {1.5, -1.5}},
                 {"batch", {{{2, 3, 5}, {}, 0, 1}, {{2, 3, 5}}}},
                 {"wide rows", {{{2, 40}, {}, 0, 1}, {{2, 40}}}},
                 {"no rows", {{{0, 3}}, {{0, 3}}}}};
  def.rejects = {{{{f32, {2, 3}}, {f32, {2}}},
                  {},
                  "probabilities are [2, 3] and adjoint [2]; they must be equal, and not scalars"},
                 {{{f32, {}}, {f32, {}}},
                  {},
                  "probabilities are [] and adjoint []; they must be equal, and not scalars"}};
  return def;
}

}  // namespace lariat
