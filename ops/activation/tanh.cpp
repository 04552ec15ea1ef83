#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = tanh x:  dx = dy·(1 − y²)
OpDef records::tanh() {
  OpDef def = elementwise_op("tanh", "The hyperbolic tangent.", {{"x", ""}},
                             float_blocks<1>([](auto x) { return tanh_of(x); }));
  def.vjp = [](const GradContext& g) -> Adjoints {
    const Value y = g.out(0);
    return {g.adjoint(0) * (1 - y * y)};
  };
  def.reference = [](std::span<const long double> x) { return std::tanh(x[0]); };
  def.samples = {{"values",
                  {{{3}, {-1, 0.5, 2}}},
                  {},
                  {-0.76159415595576488812, 0.4621171572600097585, 0.96402758007581688395}},
                 {"matrix", {{{2, 3}, {}, -3, 3}}}};
  return def;
}

Value tanh(Operand x) { return build("tanh", {x}); }

}  // namespace lariat
