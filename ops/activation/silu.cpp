#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace silu_detail {

Adjoints vjp(const GradContext& g) {
  const Value x = g.in(0), s = sigmoid(x);
  return {g.adjoint(0) * s * (1 + x * (1 - s))};
}

}  // namespace silu_detail

// y = x·σ(x) (Elfwing et al. 2017):  dx = dy·σ(x)·(1 + x·(1 − σ(x))). For negative x, x·e^x/(1 + e^x) with
// the product inside the exponential, where it loses no bits to subnormals; below `lowest` it is −0.
OpDef records::silu() {
  using namespace silu_detail;
  const auto function = [](auto x) {
    using T = decltype(x);
    const T low(ExpConstants<typename T::value_type>::lowest);
    const T bounded = select(x < low, low, x);
    const T numerator = select(x < T(0), times_exp_of(select(x < T(0), bounded, T(0)), bounded), x);
    return numerator / (T(1) + exp_of(-abs(x)));
  };
  OpDef def = elementwise_op("silu", "x * sigmoid(x).", {{"x", ""}}, float_blocks<1>(function));
  def.vjp = vjp;
  def.reference = [](std::span<const long double> x) {
    return x[0] < -1e4L ? -0.0L : x[0] / (1 + std::exp(-x[0]));
  };
  def.samples = {{"values",
                  {{{4}, {-20, -1, 0, 2}}},
                  {},
                  {-4.1223072363804071629e-8, -0.26894142136999512075, 0, 1.7615941559557648881}},
                 {"matrix", {{{2, 3}, {}, -6, 6}}}};
  return def;
}

Value silu(Operand x) { return build("silu", {x}); }

}  // namespace lariat
