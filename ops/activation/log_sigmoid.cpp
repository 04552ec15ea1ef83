#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/log1p.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = ln σ(x) = −(max(−x, 0) + ln(1 + e^(−|x|))):  dx = dy·σ(−x)
OpDef records::log_sigmoid() {
  OpDef def = elementwise_op("log_sigmoid", "ln(sigmoid(x)), finite for every finite x.", {{"x", ""}},
                             float_blocks<1>([](auto x) {
                               return negative_of(positive_part(-x) + log1p_of_unit(exp_of(-abs(x))));
                             }));
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0) * sigmoid(-g.in(0))}; };
  def.reference = [](std::span<const long double> x) {
    return x[0] < 0 ? x[0] - std::log1p(std::exp(x[0])) : -std::log1p(std::exp(-x[0]));
  };
  def.samples = {{"values",
                  {{{5}, {-20, -1, 0, 2, 20}}},
                  {},
                  {-20.00000000206115362, -1.313261687518222834, -0.69314718055994530942,
                   -0.12692801104297249644, -2.0611536203143807032e-9}},
                 {"matrix", {{{2, 3}, {}, -6, 6}}}};
  return def;
}

Value log_sigmoid(Operand x) { return build("log_sigmoid", {x}); }

}  // namespace lariat
