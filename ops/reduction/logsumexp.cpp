#include "ops/kernels/rows.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace logsumexp_detail {

std::vector<TensorType> infer(const InferContext& c) {
  TensorType result = infer_rows(c)[0];
  result.shape.pop_back();
  if (c.attribute<bool>("keep_dims")) result.shape.push_back(1);
  return {result};
}

// y = max x + log Σ exp(x - max x)
template <class T>
void forward(const KernelContext& k) {
  const int64_t width = k.inputs[0].extent(-1);
  for_each_row(k, [&](int64_t row) {
    const T* x = k.in<T>(0) + row * width;
    const T maximum = row_maximum(x, width);
    const double log_sum = width == 0 ? 0 : sum_exponentials<T>(x, width, maximum, nullptr).log();
    k.out<T>(0)[row] = static_cast<T>(maximum + log_sum);
  });
}

// dx = dy·exp(x - y)
Adjoints vjp(const GradContext& g) {
  const Value x = g.in(0);
  Shape kept = x.shape();
  kept.back() = 1;
  return {reshape(g.adjoint(0), kept) * exp(x - reshape(g.out(0), kept))};
}

}  // namespace logsumexp_detail

OpDef records::logsumexp() {
  using namespace logsumexp_detail;
  OpDef def{.name = "logsumexp",
            .doc = "log Σ exp(x) along the last axis; -inf over no elements.",
            .inputs = {{"x", "f32 or f64 [..., n]"}},
            .outputs = {{"result", "[...]"}}};
  def.attributes = {
      {"keep_dims", AttributeKind::boolean, "whether the last axis stays with size 1", Attribute(false)}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = streaming_cost<20>;
  def.samples = {{"one row", {{{3}, {1, 2, 3}}}, {}, {3.4076059644443806}},
                 {"large values", {{{2}, {-1e4, 1e4}}}, {}, {1e4}},
                 {"kept", {{{2, 3, 5}}}, {{"keep_dims", true}}},
                 {"wide rows", {{{2, 40}, {}, -3, 3}}},
                 {"one element", {{{2, 1}, {4, -5}}}, {}, {4, -5}},
                 {"no rows", {{{0, 3}}}}};
  def.rejects = {{{{f32, {}}}, {}, "axis -1 does not exist: x is a scalar"},
                 {{{i32, {3}}}, {}, "x is i32[3]; it must be f32 or f64. Use cast"}};
  return def;
}

Value logsumexp(Operand x, bool keep_dims) { return build("logsumexp", {x}, {{"keep_dims", keep_dims}}); }

}  // namespace lariat
