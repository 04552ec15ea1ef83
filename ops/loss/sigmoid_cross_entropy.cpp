#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/log1p.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// loss = max(z, 0) - z·t + log1p(exp(-|z|)): finite for every finite z. The sum of the first two is taken as
// one product, which does not cancel:  max(z, 0) - z·t = z·([z > 0] - t).
OpDef records::sigmoid_cross_entropy() {
  const auto function = [](auto z, auto t) {
    using T = decltype(z);
    return z * (indicator(z > T(0), z) - t) + log1p_of_unit(exp_of(-abs(z)));
  };
  OpDef def = elementwise_op(
      "sigmoid_cross_entropy", "-t·log σ(z) - (1 - t)·log(1 - σ(z)), element by element.",
      {{"logits", "z"}, {"targets", "t, probabilities of the positive class"}}, float_blocks<2>(function));
  // dz = d·(σ(z) - t), dt = -d·z
  def.vjp = [](const GradContext& g) -> Adjoints {
    const Value z = g.in(0), t = g.in(1), d = g.adjoint(0);
    return {g.needs(0) ? d * (sigmoid(z) - t) : Value(), g.needs(1) ? -(d * z) : Value()};
  };
  def.traits.linear = {false, true};
  def.reference = [](std::span<const long double> x) {
    return (x[0] > 0 ? x[0] * (1 - x[1]) : -x[0] * x[1]) + std::log1p(std::exp(-std::abs(x[0])));
  };
  // Values by Python's decimal module at 40 digits.
  def.samples = {{"values",
                  {{{4}, {0, 2, -3, 1e4}}, {{4}, {1, 0, 0.25, 1}}},
                  {},
                  {0.69314718055994531, 2.1269280110429725, 0.79858735157374206, 0}},
                 {"matrix", {{{2, 3}, {}, -4, 4}, {{2, 3}, {}, 0, 1}}},
                 {"one target", {{{2, 3}, {}, -4, 4}, {{}, {0.5}}}},
                 {"scalar", {{{}, {0.5}}, {{}, {1}}}},
                 {"no elements", {{{0, 2}}, {{0, 2}}}}};
  return def;
}

Value sigmoid_cross_entropy(Operand logits, Operand targets) {
  return build("sigmoid_cross_entropy", {logits, targets});
}

}  // namespace lariat
