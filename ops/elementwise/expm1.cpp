#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = e^x − 1
OpDef records::expm1() {
  OpDef def = elementwise_op("expm1", "e^x - 1, without cancellation near 0.", {{"x", ""}},
                             float_blocks<1>([](auto x) { return expm1_of(x); }));
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0) * (g.out(0) + 1)}; };
  def.reference = [](std::span<const long double> x) { return std::expm1(x[0]); };
  def.samples = {{"values",
                  {{{3}, {-1, 0x1p-30, 2}}},
                  {},
                  {-0.6321205588285576784, 9.3132257504915938475e-10, 6.3890560989306502272}},
                 {"matrix", {{{2, 3}, {}, -3, 3}}}};
  return def;
}

Value expm1(Operand x) { return build("expm1", {x}); }

}  // namespace lariat
