#include "ops/kernels/rows.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace log_softmax_detail {

// y = (x - max x) - log Σ exp(x - max x)
template <class T>
void forward(const KernelContext& k) {
  const int64_t width = k.inputs[0].extent(-1);
  for_each_row(k, [&](int64_t row) {
    const T* x = k.in<T>(0) + row * width;
    T* y = k.out<T>(0) + row * width;
    const T maximum = row_maximum(x, width);
    const T log_sum = static_cast<T>(sum_exponentials<T>(x, width, maximum, nullptr).log());
    for (int64_t j = 0; j < width; ++j) y[j] = (x[j] - maximum) - log_sum;
  });
}

// dx = dy - exp(y)·Σ dy
Adjoints vjp(const GradContext& g) {
  const Value d = g.adjoint(0);
  return {d - exp(g.out(0)) * sum(d, {-1}, true)};
}

}  // namespace log_softmax_detail

OpDef records::log_softmax() {
  using namespace log_softmax_detail;
  OpDef def{.name = "log_softmax",
            .doc = "x - log Σ exp(x) along the last axis: logarithms of probabilities.",
            .inputs = {{"x", "f32 or f64 [..., classes]"}},
            .outputs = {{"log_probabilities", "like x"}}};
  def.traits.in_place = {{0, 0}};
  def.infer = infer_rows;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = streaming_cost<20>;
  def.samples = {
      {"one row", {{{3}, {1, 2, 3}}}, {}, {-2.4076059644443806, -1.4076059644443804, -0.4076059644443804}},
      {"large logits", {{{2}, {-1e4, 1e4}}}, {}, {-2e4, 0}},
      {"batch", {{{2, 3, 5}}}},
      {"wide rows", {{{2, 40}, {}, -3, 3}}},
      {"one class", {{{2, 1}}}, {}, {0, 0}},
      {"no rows", {{{0, 3}}}}};
  def.rejects = {{{{f32, {}}}, {}, "axis -1 does not exist: x is a scalar"},
                 {{{i32, {3}}}, {}, "x is i32[3]; it must be f32 or f64. Use cast"}};
  return def;
}

Value log_softmax(Operand x) { return build("log_softmax", {x}); }

}  // namespace lariat
