#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = ln x
OpDef records::log() {
  OpDef def = elementwise_op("log", "The natural logarithm; minus infinity at 0, NaN below.", {{"x", ""}},
                             float_blocks<1>([](auto x) { return log_of(x); }));
  def.traits.of_finite = Traits::OfFinite::or_nan;
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0) / g.in(0)}; };
  def.reference = [](std::span<const long double> x) { return std::log(x[0]); };
  def.samples = {{"values", {{{3}, {0.5, 1, 10}}}, {}, {-0.69314718055994530942, 0, 2.302585092994045684}},
                 {"matrix", {{{2, 3}, {}, 0.5, 4}}}};
  return def;
}

Value log(Operand x) { return build("log", {x}); }

}  // namespace lariat
