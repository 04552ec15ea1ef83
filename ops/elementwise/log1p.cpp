#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = ln(1 + x). xsimd's own loses the sign of zero.
OpDef records::log1p() {
  OpDef def = elementwise_op(
      "log1p", "ln(1 + x), without cancellation near 0; minus infinity at -1, NaN below.", {{"x", ""}},
      float_blocks<1>([](auto x) { return select(x == decltype(x)(0), x, log1p(x)); }));
  def.traits.of_finite = Traits::OfFinite::or_nan;
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0) / (1 + g.in(0))}; };
  def.reference = [](std::span<const long double> x) { return std::log1p(x[0]); };
  def.samples = {{"values",
                  {{{3}, {-0.5, 0x1p-30, 3}}},
                  {},
                  {-0.69314718055994530942, 9.313225741817976469e-10, 1.3862943611198906188}},
                 {"matrix", {{{2, 3}, {}, -0.5, 2}}}};
  return def;
}

Value log1p(Operand x) { return build("log1p", {x}); }

}  // namespace lariat
