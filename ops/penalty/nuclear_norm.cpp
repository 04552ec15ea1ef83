#include <cmath>
#include <limits>

#include "ops/kernels/axes.hpp"
#include "ops/kernels/groups.hpp"
#include "ops/linear/singular_values.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace nuclear_norm_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_matrix(c, 0, "x");
  return {{c.in(0).dtype, {}}, c.in(0)};
}

template <class T>
void forward(const KernelContext& k) {
  const TensorView& x = k.inputs[0];
  T *norm = k.out<T>(0), *directions = k.out<T>(1);
  *norm = 0;
  if (x.count() == 0) return;
  SingularValues svd = singular_values(x, k.scratch.shared);
  if (svd.undefined) {
    *norm = std::numeric_limits<T>::quiet_NaN();
    std::fill_n(directions, x.count(), *norm);
    return;
  }
  double total = 0;
  for (double value : svd.values) total += value;
  *norm = static_cast<T>(total);
  // Values that rounding of x alone can make are 0.
  const double least = svd.values.front() * static_cast<double>(std::max(svd.rows, svd.columns)) *
                       static_cast<double>(std::numeric_limits<T>::epsilon());
  // They fall, so those that count come first.
  size_t rank = 0;
  for (double& value : svd.values)
    if (value > least) value = 1, ++rank;
  const std::span<const double> product = svd.product(svd.values.first(rank));
  std::copy(product.begin(), product.end(), directions);
}

Value prox(ProxPoint at, Value weight, const Attributes&) {
  return singular_value_threshold(at.point, at.step, weight);
}

// With E = U·Vᵀ of the part of x that is not 0, the subdifferential is λ(E + W): W any matrix without a part
// along E's rows or columns whose singular values are at most 1 (Watson 1992). It meets the gradient outside
// E, where the singular values are thresholded.
Value residual(Value x, Value gradient, Value weight, const Attributes&) {
  const Value directions = output_of(nuclear_norm(x), 1), back = transpose(directions);
  const auto on_columns = [&](Value g) { return matmul(matmul(g, back), directions); };
  const Value on_rows = matmul(directions, matmul(back, gradient));
  const Value outside = (gradient - on_rows) - on_columns(gradient - on_rows);
  return (gradient - outside) + weight * directions + prox(at_unit_step(outside), weight, {});
}

}  // namespace nuclear_norm_detail

// y = Σ σₖ(x):  dx = dy·U·Vᵀ
OpDef records::nuclear_norm() {
  using namespace nuclear_norm_detail;
  OpDef def{.name = "nuclear_norm",
            .doc = "The sum of the singular values of a matrix, the penalty for low rank (Fazel 2002).",
            .inputs = {{"x", "f32 or f64 [m, n]"}},
            .outputs = {{"norm", "a scalar"},
                        {"directions", "[m, n]: U·Vᵀ over the singular values above rounding"}}};
  def.traits.saved_outputs = 1;
  def.traits.second_order = false;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = singular_values_workspace;
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0) * g.out(1)}; };
  def.cost = streaming_cost<100>;
  def.penalty = Penalty{.formula = "‖x‖*",
                        .operator_name = "singular value threshold",
                        .combination = Combination::alone,
                        .scalar_metric = true,
                        .prox = prox,
                        .residual = residual};
  def.kinks = "Where the rank is not full the derivative is U·Vᵀ of the part that is not 0.";
  def.samples = {{"diagonal", {{{2, 2}, {3, 0, 0, -4}}}, {}, {7}},
                 {"orthogonal columns", {{{3, 2}, {2, -1, 1, 2, 2, 0}}}, {}, {5.2360679774997896964}},
                 {"wide", {{{2, 4}}}},
                 {"tall", {{{4, 3}}}},
                 {"one column", {{{3, 1}, {2, 3, 6}}}, {}, {7}},
                 {"no elements", {{{0, 3}}}, {}, {0}}};
  def.rejects = {{{{f32, {2}}}, {}, "x is [2]; it must be a matrix. Use reshape"},
                 {{{i32, {2, 2}}}, {}, "x is i32[2, 2]; it must be f32 or f64. Use cast"}};
  return def;
}

Value nuclear_norm(Operand x) { return build("nuclear_norm", {x}); }

}  // namespace lariat
