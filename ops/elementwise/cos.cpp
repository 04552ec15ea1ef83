#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = cos x
OpDef records::cos() {
  // xsimd's result depends on the largest element of the vector.
  const auto function = [](auto x) { return scalar_apply([](auto a) { return std::cos(a); }, x); };
  OpDef def = elementwise_op("cos", "The cosine of x in radians; NaN at infinity.", {{"x", ""}},
                             float_blocks<1>(function));
  def.vjp = [](const GradContext& g) -> Adjoints { return {-g.adjoint(0) * sin(g.in(0))}; };
  def.reference = [](std::span<const long double> x) { return std::cos(x[0]); };
  def.samples = {{"values",
                  {{{3}, {-1, 0.5, 100}}},
                  {},
                  {0.5403023058681397174, 0.87758256189037271612, 0.8623188722876839341}},
                 {"matrix", {{{2, 3}, {}, -4, 4}}}};
  return def;
}

Value cos(Operand x) { return build("cos", {x}); }

}  // namespace lariat
