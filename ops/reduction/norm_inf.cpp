#include <cmath>

#include "ops/kernels/groups.hpp"
#include "ops/kernels/reduction.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace norm_inf_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "x");
  return infer_reduction(c);
}

template <class T>
void forward(const KernelContext& k) {
  reduce<Maximizing, T>(
      k, [](T x) { return std::abs(x); }, [](T maximum) { return maximum < 0 ? T(0) : maximum; });
}

// dx = dy·sign x·[|x| = y] / (how many are equal to y)
Adjoints vjp(const GradContext& g) {
  const Value x = g.in(0);
  const Shape kept = kept_shape(g);
  const Value chosen = equal(abs(x), reshape(g.out(0), kept));
  const Value count = sum(chosen, g.attributes().get<std::vector<int64_t>>("axes"), true);
  return {sign(x) * chosen * (reshape(g.adjoint(0), kept) / count)};
}

Value prox(ProxPoint at, Value weight, const Attributes& attributes) {
  return prox_along_axes("norm_inf_prox", at, weight, attributes);
}

// Off the elements I of largest magnitude the gradient stays; on them λ is spread to leave as little as
// possible: with q = −g·sign x, what is left is −sign x·min(q, θ), where Σ_I (q − θ)₊ = λ. Shifted up by
// λ + max |g|, which makes q and θ positive, that is the prox of q; at x = 0 it is the prox of g.
Value residual(Value x, Value gradient, Value weight, const Attributes& attributes) {
  const auto axes = attributes.get<std::vector<int64_t>>("axes");
  const Value size = norm_inf(x, axes, true), top = equal(abs(x), size);
  const Value shift = weight_along_axes(x, weight, attributes) + norm_inf(gradient, axes, true);
  const Value raised = where(top, shift - gradient * sign(x), 0);
  const Value left = prox(at_unit_step(raised), weight, attributes) - shift;
  return where(greater(size, 0), where(top, -sign(x) * left, gradient),
               prox(at_unit_step(gradient), weight, attributes));
}

}  // namespace norm_inf_detail

// y = max |x|
OpDef records::norm_inf() {
  using namespace norm_inf_detail;
  OpDef def{.name = "norm_inf",
            .doc = "max |x| over axes, 0 over no elements; NaN counts as the largest.",
            .inputs = {{"x", "f32 or f64 of any shape"}},
            .outputs = {{"norm", "x's shape without the reduced axes"}},
            .attributes = reduction_attributes()};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.prepare = prepare_reduction<axes_attribute>;
  def.workspace = reduction_workspace;
  def.vjp = vjp;
  def.cost = streaming_cost<2>;
  def.penalty = Penalty{.formula = "‖x‖∞",
                        .operator_name = "projection on the L1 ball (Moreau)",
                        .everyday = true,
                        .combination = Combination::alone,
                        .prox = prox,
                        .residual = residual};
  def.kinks = "Elements whose magnitude is the maximum share the adjoint equally; where all are 0 it is 0.";
  const auto axes = [](std::vector<int64_t> list, bool keep = false) -> Attributes {
    return {{"axes", list}, {"keep_dims", keep}};
  };
  // Distinct magnitudes, so that no sample lies at a kink.
  const std::vector<double> apart{0.1, 0.9, 0.4, -0.3, 0.7, 0.2, -0.8, 0.6, -0.5, 0.35, -0.15, 0.55};
  def.samples = {{"all", {{{2, 3}, {1, 2, 3, -4, -5, -6}}}, {}, {6}},
                 {"rows", {{{2, 3}, {1, -2, 3, -4, 5, -6}}}, axes({1}), {3, 6}},
                 {"kept", {{{2, 3, 2}, apart}}, axes({1}, true)},
                 {"outer and inner", {{{2, 3, 2}, apart}}, axes({0, -1})},
                 {"scalar", {{{}, {-3}}}, {}, {3}},
                 {"no elements", {{{2, 0}}}, {}, {0}},
                 {"groups of no elements", {{{2, 0}}}, axes({1}), {0, 0}}};
  def.rejects = {{{{f32, {2, 3}}}, axes({2}), "axis 2 does not exist: x is [2, 3], so axes run from -2 to 1"},
                 {{{i32, {2}}}, {}, "x is i32[2]; it must be f32 or f64. Use cast"}};
  return def;
}

Value norm_inf(Operand x, std::vector<int64_t> axes, bool keep_dims) {
  return build("norm_inf", {x}, {{"axes", std::move(axes)}, {"keep_dims", keep_dims}});
}

}  // namespace lariat
