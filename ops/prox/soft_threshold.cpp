#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// S(v, t) = sign(v)·max(|v| − t, 0) for t ≥ 0.  dv = dy where S ≠ 0, dt = −dy·sign S.
OpDef records::soft_threshold() {
  OpDef def = elementwise_op("soft_threshold",
                             "v moved towards 0 by t, to exactly +0 where |v| <= t: the prox of t |v|.",
                             {{"v", ""}, {"t", "the threshold, at least 0"}},
                             float_blocks<2>([](auto v, auto t) { return soft_threshold_of(v, t); }));
  def.vjp = [](const GradContext& g) -> Adjoints {
    const Value y = g.out(0), d = g.adjoint(0);
    return {g.needs(0) ? where(equal(y, 0), 0, d) : Value(), g.needs(1) ? -d * sign(y) : Value()};
  };
  def.kinks = "Where |v| = t the derivatives are 0.";
  def.reference = [](std::span<const long double> x) {
    const long double above = x[0] - x[1], below = x[0] + x[1];
    return (above <= 0 ? 0 : above) + (below >= 0 ? 0 : below);
  };
  const SampleInput threshold{{}, {}, 0.4, 0.6};
  def.samples = {{"values", {{{4}, {-2, -0.25, 0.25, 3}}, {{}, {0.5}}}, {}, {-1.5, 0, 0, 2.5}},
                 {"one threshold", {{{2, 3}, {}, -2, 2, 0.2, {-0.5, 0.5}}, threshold}},
                 {"threshold per row", {{{2, 3}, {}, -2, 2, 0.2, {-0.5, 0.5}}, {{2, 1}, {}, 0.4, 0.6}}}};
  return def;
}

Value soft_threshold(Operand v, Operand threshold) { return build("soft_threshold", {v, threshold}); }

}  // namespace lariat
