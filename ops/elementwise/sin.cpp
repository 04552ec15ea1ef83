#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = sin x
OpDef records::sin() {
  // xsimd's result depends on the largest element of the vector.
  const auto function = [](auto x) { return scalar_apply([](auto a) { return std::sin(a); }, x); };
  OpDef def = elementwise_op("sin", "The sine of x in radians; NaN at infinity.", {{"x", ""}},
                             float_blocks<1>(function));
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0) * cos(g.in(0))}; };
  def.reference = [](std::span<const long double> x) { return std::sin(x[0]); };
  def.samples = {{"values",
                  {{{3}, {-1, 0.5, 100}}},
                  {},
                  {-0.84147098480789650665, 0.47942553860420300027, -0.50636564110975879366}},
                 {"matrix", {{{2, 3}, {}, -4, 4}}}};
  return def;
}

Value sin(Operand x) { return build("sin", {x}); }

}  // namespace lariat
