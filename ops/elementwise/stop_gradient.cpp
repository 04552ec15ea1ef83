#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = x:  dx = 0
OpDef records::stop_gradient() {
  OpDef def = elementwise_op("stop_gradient", "x as a constant: gradients do not pass.", {{"x", ""}},
                             number_blocks<1>([](auto x) { return x; }));
  def.traits.stops_gradient = true;
  def.traits.linear = {true};
  def.vjp = [](const GradContext&) -> Adjoints { return {Value()}; };
  def.reference = [](std::span<const long double> x) { return x[0]; };
  def.samples = {{"values", {{{2}, {-1.5, 2}}}, {}, {-1.5, 2}}, {"rank four", {{{2, 1, 3, 2}}}}};
  return def;
}

Value stop_gradient(Operand x) { return build("stop_gradient", {x}); }

}  // namespace lariat
