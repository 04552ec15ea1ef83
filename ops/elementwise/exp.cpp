#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = e^x
OpDef records::exp() {
  OpDef def = elementwise_op("exp", "e to the power x.", {{"x", ""}},
                             float_blocks<1>([](auto x) { return exp_of(x); }));
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0) * g.out(0)}; };
  def.reference = [](std::span<const long double> x) { return std::exp(x[0]); };
  def.samples = {{"values", {{{3}, {-1, 0, 2.5}}}, {}, {0.3678794411714423216, 1, 12.182493960703473438}},
                 {"matrix", {{{2, 3}, {}, -3, 3}}},
                 {"rank four", {{{2, 1, 3, 2}}}}};
  return def;
}

Value exp(Operand x) { return build("exp", {x}); }

}  // namespace lariat
