#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = −x
OpDef records::negate() {
  OpDef def =
      elementwise_op("negate", "-x.", {{"x", ""}}, number_blocks<1>([](auto x) { return negative_of(x); }));
  def.traits.linear = {true};
  def.vjp = [](const GradContext& g) -> Adjoints { return {-g.adjoint(0)}; };
  def.reference = [](std::span<const long double> x) { return -x[0]; };
  def.samples = {{"values", {{{3}, {-1, 0, 2.5}}}, {}, {1, 0, -2.5}}, {"rank four", {{{2, 1, 3, 2}}}}};
  return def;
}

}  // namespace lariat
