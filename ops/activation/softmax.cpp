#include "ops/kernels/rows.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace softmax_detail {

// y = exp(x - max x) / Σ exp(x - max x)
template <class T>
void forward(const KernelContext& k) {
  const int64_t width = k.inputs[0].extent(-1);
  for_each_row(k, [&](int64_t row) {
    const T* x = k.in<T>(0) + row * width;
    T* y = k.out<T>(0) + row * width;
    const double sum = sum_exponentials(x, width, row_maximum(x, width), y).sum();
    const T scale = static_cast<T>(1 / sum);
    for (int64_t j = 0; j < width; ++j) y[j] *= scale;
  });
}

// dx = y·(dy - Σ dy·y)
Adjoints vjp(const GradContext& g) { return {build("softmax_gradient", {g.out(0), g.adjoint(0)})}; }

}  // namespace softmax_detail

OpDef records::softmax() {
  using namespace softmax_detail;
  OpDef def{.name = "softmax",
            .doc = "Exponentials along the last axis, scaled to the sum 1.",
            .inputs = {{"x", "f32 or f64 [..., classes]"}},
            .outputs = {{"probabilities", "like x"}}};
  def.traits.in_place = {{0, 0}};
  def.infer = infer_rows;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = streaming_cost<20>;
  def.samples = {
      {"one row", {{{3}, {1, 2, 3}}}, {}, {0.09003057317038046, 0.24472847105479764, 0.6652409557748218}},
      {"large logits", {{{2}, {-1e4, 1e4}}}, {}, {0, 1}},
      {"batch", {{{2, 3, 5}}}},
      {"wide rows", {{{2, 40}, {}, -3, 3}}},
      {"one class", {{{2, 1}}}, {}, {1, 1}},
      {"no rows", {{{0, 3}}}}};
  def.rejects = {{{{f32, {}}}, {}, "axis -1 does not exist: x is a scalar"},
                 {{{i32, {3}}}, {}, "x is i32[3]; it must be f32 or f64. Use cast"}};
  return def;
}

Value softmax(Operand x) { return build("softmax", {x}); }

}  // namespace lariat
