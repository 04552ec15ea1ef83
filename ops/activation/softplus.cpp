#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/log1p.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = ln(1 + e^x) = max(x, 0) + ln(1 + e^(−|x|)):  dx = dy·σ(x)
OpDef records::softplus() {
  OpDef def = elementwise_op(
      "softplus", "ln(1 + e^x), finite for every finite x.", {{"x", ""}},
      float_blocks<1>([](auto x) { return positive_part(x) + log1p_of_unit(exp_of(-abs(x))); }));
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0) * sigmoid(g.in(0))}; };
  def.reference = [](std::span<const long double> x) {
    return x[0] > 0 ? x[0] + std::log1p(std::exp(-x[0])) : std::log1p(std::exp(x[0]));
  };
  def.samples = {{"values",
                  {{{5}, {-20, -1, 0, 2, 20}}},
                  {},
                  {2.0611536203143807032e-9, 0.31326168751822283405, 0.69314718055994530942,
                   2.1269280110429724964, 20.00000000206115362}},
                 {"matrix", {{{2, 3}, {}, -6, 6}}}};
  return def;
}

Value softplus(Operand x) { return build("softplus", {x}); }

}  // namespace lariat
