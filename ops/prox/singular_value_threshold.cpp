#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "ops/kernels/axes.hpp"
#include "ops/linear/singular_values.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace singular_value_threshold_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_matrix(c, 0, "v");
  check_one_dtype(c);
  for (size_t i : {1, 2})
    if (!c.shape(i).empty())
      c.fail(fmt::format("the {} is {}; it must be a scalar, one for all elements",
                         i == 1 ? "step" : "weight", text(c.shape(i))));
  return {c.in(0)};
}

// w = U·diag((σ − t)₊)·Vᵀ with t = weight·step (Cai, Candès and Shen 2010).
template <class T>
void forward(const KernelContext& k) {
  const TensorView& v = k.inputs[0];
  if (v.count() == 0) return;
  const double threshold = static_cast<double>(*k.in<T>(1)) * static_cast<double>(*k.in<T>(2));
  T* w = k.out<T>(0);
  SingularValues svd = singular_values(v, k.scratch.shared);
  if (svd.undefined || std::isnan(threshold)) {
    std::fill_n(w, v.count(), std::numeric_limits<T>::quiet_NaN());
    return;
  }
  if (!(threshold > 0)) {
    for (int64_t i = 0; i < v.count(); ++i) w[i] = k.in<T>(0)[i] + T(0);
    return;
  }
  // They fall, so those that are left come first.
  size_t rank = 0;
  for (double& value : svd.values)
    if (value > threshold) value -= threshold, ++rank;
  const std::span<const double> product = svd.product(svd.values.first(rank));
  for (int64_t i = 0; i < v.count(); ++i) w[i] = static_cast<T>(product[i]) + T(0);
}

}  // namespace singular_value_threshold_detail

OpDef records::singular_value_threshold() {
  using namespace singular_value_threshold_detail;
  OpDef def{.name = "singular_value_threshold",
            .doc =
                "argmin_w weight ‖w‖* + Σ (w - v)²/(2 step): the singular values of v less weight·step, "
                "those below it 0. The prox of nuclear_norm.",
            .inputs = {{"v", "f32 or f64 [m, n]"}, {"step", "a scalar"}, {"weight", "a scalar"}},
            .outputs = {{"w", "like v; NaN where an element of v is NaN or infinite"}}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = singular_values_workspace;
  def.cost = streaming_cost<100>;
  def.samples = {{"diagonal", {{{2, 2}, {3, 0, 0, -4}}, {{}, {0.5}}, {{}, {7}}}, {}, {0, 0, 0, -0.5}},
                 {"all of it", {{{2, 2}, {3, 1, 2, -4}}, {{}, {1}}, {{}, {10}}}, {}, {0, 0, 0, 0}},
                 {"none of it", {{{2, 2}, {3, 1, 2, -4}}, {{}, {1}}, {{}, {0}}}, {}, {3, 1, 2, -4}},
                 {"wide", {{{2, 4}}, {{}, {0.5}}, {{}, {0.5}}}},
                 {"no elements", {{{2, 0}}, {{}, {1}}, {{}, {1}}}}};
  def.rejects = {{{{f32, {2, 3}}, {f32, {2, 3}}, {f32, {}}},
                  {},
                  "the step is [2, 3]; it must be a scalar, one for all elements"},
                 {{{f32, {2, 3}}, {f32, {}}, {f32, {1}}},
                  {},
                  "the weight is [1]; it must be a scalar, one for all elements"},
                 {{{f32, {6}}, {f32, {}}, {f32, {}}}, {}, "v is [6]; it must be a matrix. Use reshape"}};
  return def;
}

Value singular_value_threshold(Operand v, Operand step, Operand weight) {
  return build("singular_value_threshold", {v, step, weight});
}

}  // namespace lariat
