#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = 1/(1 + e^(−x)):  dx = dy·y·(1 − y).
OpDef records::sigmoid() {
  OpDef def = elementwise_op("sigmoid", "1 / (1 + exp(-x)).", {{"x", ""}},
                             float_blocks<1>([](auto x) { return sigmoid_of(x); }));
  def.vjp = [](const GradContext& g) -> Adjoints {
    const Value y = g.out(0);
    return {g.adjoint(0) * y * (1 - y)};
  };
  def.reference = [](std::span<const long double> x) { return 1 / (1 + std::exp(-x[0])); };
  def.samples = {{"values", {{{3}, {-1, 0, 2}}}, {}, {0.2689414213699951, 0.5, 0.8807970779778823}},
                 {"matrix", {{{2, 3}, {}, -6, 6}}}};
  return def;
}

Value sigmoid(Operand x) { return build("sigmoid", {x}); }

}  // namespace lariat
